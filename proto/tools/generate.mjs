/**
 * Writes src/gen/contract.ts from the .proto files (for each message a readonly interface, a type for
 * building it, and a codec over src/wire.ts; for each enum its numbers; for each service its methods)
 * and src/gen/errors.ts from errors.json.
 *
 * node tools/generate.mjs           writes the files
 * node tools/generate.mjs --check   exits 1 where they are not what would be written
 *
 * Tuple, Template and Value are bytes wherever other messages hold them (same wire format): the
 * envelope leaves them alone, and the hand-written codecs read them.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const home = join(dirname(fileURLToPath(import.meta.url)), '..');
const OPAQUE = new Set(['.tuplet.v1.Tuple', '.tuplet.v1.Template', '.tuplet.v1.Value']);
/** Names that would hide something else. */
const RENAMED = new Map([
  ['.google.protobuf.Timestamp', 'TimestampMessage'],
  ['.google.protobuf.Duration', 'DurationMessage'],
  ['.google.protobuf.Any', 'AnyMessage'],
  ['.google.protobuf.Empty', 'EmptyMessage'],
]);
const RESERVED = new Set(
  'case class default delete each entry function in key mark message new reader switch tag writer'.split(
    ' ',
  ),
);

/** How each scalar type is held, written and read. */
const SCALARS = {
  bool: {
    type: 'boolean',
    empty: 'false',
    wire: 0,
    write: (v) => `writer.byte(${v} ? 1 : 0)`,
    read: 'reader.bool()',
  },
  string: {
    type: 'string',
    empty: "''",
    wire: 2,
    write: (v) => `writer.string(${v})`,
    read: 'reader.string()',
  },
  bytes: {
    type: 'Uint8Array',
    empty: 'NO_BYTES',
    wire: 2,
    write: (v) => `writer.lengthDelimited(${v})`,
    read: 'reader.lengthDelimited()',
  },
  uint32: {
    type: 'number',
    empty: '0',
    wire: 0,
    write: (v) => `writer.uint32(${v})`,
    read: 'reader.uint32()',
  },
  int32: {
    type: 'number',
    empty: '0',
    wire: 0,
    write: (v) => `writer.int32(${v})`,
    read: 'reader.int32()',
  },
  uint64: {
    type: 'number',
    empty: '0',
    wire: 0,
    write: (v) => `writer.uint64(${v})`,
    read: 'reader.uint64()',
  },
  int64: {
    type: 'number',
    empty: '0',
    wire: 0,
    write: (v) => `writer.int64(${v})`,
    read: 'reader.int64()',
  },
  sint64: {
    type: 'number',
    empty: '0',
    wire: 0,
    write: (v) => `writer.sint64(${v})`,
    read: 'reader.sint64Safe()',
  },
  fixed32: {
    type: 'number',
    empty: '0',
    wire: 5,
    write: (v) => `writer.fixed32(${v})`,
    read: 'reader.fixed32()',
  },
  fixed64: {
    type: 'number',
    empty: '0',
    wire: 1,
    write: (v) => `writer.fixed64(${v})`,
    read: 'reader.fixed64()',
  },
  double: {
    type: 'number',
    empty: '0',
    wire: 1,
    write: (v) => `writer.double(${v})`,
    read: 'reader.double()',
  },
};

function protoFiles() {
  const folders = ['tuplet/v1', 'google/rpc'];
  return folders.flatMap((folder) =>
    readdirSync(join(home, folder))
      .filter((name) => name.endsWith('.proto'))
      .sort()
      .map((name) => `${folder}/${name}`),
  );
}

function load() {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, path) =>
    path.startsWith('google/protobuf/') ? path : join(home, path.replace(`${home}/`, ''));
  root.loadSync(protoFiles(), { alternateCommentMode: true, keepCase: true });
  return root.resolveAll();
}

function* descend(namespace) {
  for (const item of namespace.nestedArray) {
    yield item;
    if (item.nestedArray) yield* descend(item);
  }
}

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const pascal = (name) => camel(`_${name}`);
const local = (name) => (RESERVED.has(name) ? `${name}_` : name);
const isOurs = (item) => item.fullName.startsWith('.tuplet.');

function doc(text, indent = '') {
  const lines = (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0) return '';
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join('')}${indent} */\n`;
}

/** What a field holds: { type, init, empty, wire, write, read, isMessage }. */
class Contract {
  constructor(root) {
    this.root = root;
    this.items = [...descend(root)];
    this.messages = this.items.filter(
      (item) => item instanceof protobuf.Type && this.isWanted(item),
    );
    this.enums = this.items.filter(
      (item) =>
        item instanceof protobuf.Enum &&
        isOurs(item) &&
        item.filename !== undefined &&
        !item.filename.endsWith('tuple.proto'),
    );
    this.services = this.items.filter((item) => item instanceof protobuf.Service);
    this.names = new Map();
    const seen = new Map();
    for (const item of [...this.messages, ...this.enums, ...this.services]) {
      const name = RENAMED.get(item.fullName) ?? item.name;
      if (seen.has(name)) throw new Error(`${item.fullName} and ${seen.get(name)} share a name`);
      seen.set(name, item.fullName);
      this.names.set(item.fullName, name);
    }
    for (const message of this.messages) this.refuseCycle(message, []);
  }

  isWanted(type) {
    if (type.filename?.endsWith('tuple.proto')) return false;
    return isOurs(type) || type.fullName.startsWith('.google.rpc.') || RENAMED.has(type.fullName);
  }

  /** Decoding recurses over messages; without a cycle its depth is fixed. */
  refuseCycle(message, path) {
    if (path.includes(message)) throw new Error(`${message.fullName} holds itself`);
    for (const field of message.fieldsArray) {
      const type = field.resolvedType;
      if (type instanceof protobuf.Type && !OPAQUE.has(type.fullName))
        this.refuseCycle(type, [...path, message]);
    }
  }

  content(field) {
    const { resolvedType } = field;
    if (resolvedType === null) {
      const scalar = SCALARS[field.type];
      if (scalar === undefined)
        throw new Error(`${field.fullName}: ${field.type} is not supported`);
      return { ...scalar, init: scalar.type, isMessage: false };
    }
    if (OPAQUE.has(resolvedType.fullName))
      return { ...SCALARS.bytes, init: 'Uint8Array', isMessage: true };
    const name = this.names.get(resolvedType.fullName);
    if (name === undefined)
      throw new Error(`${field.fullName}: ${resolvedType.fullName} is not generated`);
    if (resolvedType instanceof protobuf.Enum) {
      return {
        type: name,
        init: name,
        empty: '0',
        wire: 0,
        isMessage: false,
        write: (v) => `writer.uint32(${v})`,
        read: `enumOf(known${name}, reader.uint32())`,
      };
    }
    return {
      type: name,
      init: `${name}Init`,
      empty: 'null',
      wire: 2,
      isMessage: true,
      write: (v) =>
        `{ const mark = writer.open(); write${name}(writer, ${v}); writer.close(mark); }`,
      read: `nested(reader, read${name})`,
    };
  }

  /** The fields and oneofs of a message in the order of their numbers. */
  members(message) {
    const members = [];
    for (const field of [...message.fieldsArray].sort((a, b) => a.id - b.id)) {
      const oneof = field.partOf;
      if (oneof === null || oneof.isProto3Optional)
        members.push({ kind: 'field', name: camel(field.name), field });
      else if (!members.some((member) => member.oneof === oneof)) {
        members.push({
          kind: 'oneof',
          name: camel(oneof.name),
          oneof,
          type: this.names.get(message.fullName) + pascal(oneof.name),
        });
      }
    }
    return members;
  }

  isNullable(field) {
    return this.content(field).isMessage || field.partOf?.isProto3Optional === true;
  }

  fieldType(field, isInit) {
    const content = this.content(field);
    const type = isInit ? content.init : content.type;
    if (field.map) {
      if (field.keyType !== 'string') throw new Error(`${field.fullName}: map keys are strings`);
      return `ReadonlyMap<string, ${type}>`;
    }
    if (field.repeated) return `readonly ${type}[]`;
    return this.isNullable(field) ? `${type} | null` : type;
  }

  messageText(message) {
    const name = this.names.get(message.fullName);
    const members = this.members(message);
    const unions = members
      .filter((member) => member.kind === 'oneof')
      .map((member) => this.unionText(member));
    const property = (member, isInit) => {
      const comment = isInit ? '' : doc((member.field ?? member.oneof).comment, '  ');
      const type =
        member.kind === 'oneof'
          ? `${member.type}${isInit ? 'Init' : ''} | null`
          : this.fieldType(member.field, isInit);
      return `${comment}  readonly ${member.name}${isInit ? '?' : ''}: ${type}${isInit ? ' | undefined' : ''};\n`;
    };
    const body = (isInit) => members.map((member) => property(member, isInit)).join('');
    return `${unions.join('')}${doc(message.comment)}export interface ${name} {\n${body(false)}}
/** What ${name} is built of; what is left out has its default. */
export interface ${name}Init {\n${body(true)}}
${this.writeText(name, members)}${this.readText(name, members)}/** Encodes and decodes \`${message.fullName.slice(1)}\`. */
export const ${name}: Codec<${name}, ${name}Init> = codec('${message.fullName.slice(1)}', write${name}, read${name});\n\n`;
  }

  unionText({ oneof, type }) {
    const fields = [...oneof.fieldsArray].sort((a, b) => a.id - b.id);
    const line = (field, isInit) => {
      const content = this.content(field);
      return `\n  | { readonly kind: '${camel(field.name)}'; readonly value: ${isInit ? content.init : content.type} }`;
    };
    const text = doc(oneof.comment);
    return `${text}export type ${type} =${fields.map((field) => line(field, false)).join('')};
${text}export type ${type}Init =${fields.map((field) => line(field, true)).join('')};\n`;
  }

  tagText(id, wire) {
    const tag = (id << 3) | wire;
    return tag < 0x80 ? `writer.byte(${tag})` : `writer.uint32(${tag})`;
  }

  writeText(name, members) {
    const parts = members.map((member) =>
      member.kind === 'oneof' ? this.writeOneof(member) : this.writeField(member),
    );
    const unused = members.length === 0 ? '_' : '';
    return `function write${name}(${unused}writer: Writer, ${unused}message: ${name}Init): void {\n${parts.join('')}}\n`;
  }

  writeOneof({ name, oneof }) {
    const fields = [...oneof.fieldsArray].sort((a, b) => a.id - b.id);
    const cases = fields.map((field) => {
      const content = this.content(field);
      return `      case '${camel(field.name)}':\n        ${this.tagText(field.id, content.wire)};\n        ${content.write(`${local(name)}.value`)};\n        break;\n`;
    });
    return `  const ${local(name)} = message.${name};\n  if (${local(name)}) {\n    switch (${local(name)}.kind) {\n${cases.join('')}    }\n  }\n`;
  }

  writeField({ name, field }) {
    const content = this.content(field);
    const v = local(name);
    const get = `  const ${v} = message.${name};\n`;
    if (field.map) {
      return `${get}  if (${v} !== undefined) {\n    for (const [key, each] of ${v}) {\n      ${this.tagText(field.id, 2)};\n      const entry = writer.open();\n      writer.byte(10);\n      writer.string(key);\n      writer.byte(${(2 << 3) | content.wire});\n      ${content.write('each')};\n      writer.close(entry);\n    }\n  }\n`;
    }
    if (field.repeated && content.wire === 2) {
      return `${get}  if (${v} !== undefined) {\n    for (const each of ${v}) {\n      ${this.tagText(field.id, 2)};\n      ${content.write('each')};\n    }\n  }\n`;
    }
    if (field.repeated) {
      return `${get}  if (${v} !== undefined && ${v}.length > 0) {\n    ${this.tagText(field.id, 2)};\n    const mark = writer.open();\n    for (const each of ${v}) ${content.write('each')};\n    writer.close(mark);\n  }\n`;
    }
    const isThere = this.isNullable(field)
      ? `${v} !== undefined && ${v} !== null`
      : field.type === 'bytes'
        ? `${v} !== undefined && ${v}.length > 0`
        : field.type === 'double'
          ? `${v} !== undefined && !Object.is(${v}, 0)`
          : field.type === 'bool'
            ? `${v} === true`
            : `${v} !== undefined && ${v} !== ${content.empty}`;
    return `${get}  if (${isThere}) {\n    ${this.tagText(field.id, content.wire)};\n    ${content.write(v)};\n  }\n`;
  }

  readText(name, members) {
    const declare = ({ kind, name: member, field, type }) => {
      if (kind === 'oneof') return `  let ${local(member)}: ${type} | null = null;\n`;
      const content = this.content(field);
      if (field.map) return `  const ${local(member)} = new Map<string, ${content.type}>();\n`;
      if (field.repeated) return `  const ${local(member)}: ${content.type}[] = [];\n`;
      const empty = this.isNullable(field) ? 'null' : content.empty;
      return `  let ${local(member)}: ${this.fieldType(field, false)} = ${empty};\n`;
    };
    const cases = members.flatMap((member) =>
      member.kind === 'oneof'
        ? member.oneof.fieldsArray.map((field) => this.readCase(local(member.name), field, member))
        : [this.readCase(local(member.name), member.field, member)],
    );
    const result = members.map(({ name: member }) =>
      local(member) === member ? member : `${member}: ${local(member)}`,
    );
    return `function read${name}(reader: Reader): ${name} {\n${members.map(declare).join('')}  while (reader.position < reader.end) {
    const tag = reader.tag();
    switch (tag) {\n${cases.join('')}      default:
        reader.unknown(tag);
    }
  }
  return { ${result.join(', ')} };\n}\n`;
  }

  readCase(variable, field, member) {
    const content = this.content(field);
    const label = (wire) => `      case ${(field.id << 3) | wire}:\n`;
    if (member.kind === 'oneof') {
      return `${label(content.wire)}        ${variable} = { kind: '${camel(field.name)}', value: ${content.read} };\n        break;\n`;
    }
    if (field.map) {
      return `${label(2)}        nested(reader, () => readEntry(reader, ${content.wire}, ${content.empty}, () => ${content.read}, ${variable}));\n        break;\n`;
    }
    if (field.repeated && content.wire !== 2) {
      return `${label(content.wire)}        ${variable}.push(${content.read});\n        break;\n${label(2)}        nested(reader, () => {\n          while (reader.position < reader.end) ${variable}.push(${content.read});\n        });\n        break;\n`;
    }
    const store = field.repeated
      ? `${variable}.push(${content.read})`
      : `${variable} = ${content.read}`;
    return `${label(content.wire)}        ${store};\n        break;\n`;
  }

  enumText(item) {
    const name = this.names.get(item.fullName);
    const prefix = `${name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}_`;
    const entries = Object.entries(item.values).map(([key, number]) => {
      if (!key.startsWith(prefix))
        throw new Error(`${item.fullName}.${key} does not begin with ${prefix}`);
      return `${doc(item.comments[key], '  ')}  ${key.slice(prefix.length)}: ${number},\n`;
    });
    return `${doc(item.comment)}export const ${name} = {\n${entries.join('')}} as const;
/** One of \`${name}\`. */
export type ${name} = (typeof ${name})[keyof typeof ${name}];
const known${name}: ReadonlySet<${name}> = new Set(Object.values(${name}));\n\n`;
  }

  serviceText(service) {
    const methods = service.methodsArray.map((method) => {
      const request = this.names.get(method.resolvedRequestType.fullName);
      const response = this.names.get(method.resolvedResponseType.fullName);
      const key = method.name[0].toLowerCase() + method.name.slice(1);
      const type = `    readonly ${key}: Method<${request}, ${request}Init, ${response}, ${response}Init>;\n`;
      const value = `    ${key}: {\n      path: '/${service.fullName.slice(1)}/${method.name}',\n      requestStream: ${method.requestStream === true},\n      responseStream: ${method.responseStream === true},\n      request: ${request},\n      response: ${response},\n    },\n`;
      return { type: doc(method.comment, '    ') + type, value };
    });
    return `${doc(service.comment)}export const ${service.name}: {
  readonly name: '${service.fullName.slice(1)}';
  readonly methods: {\n${methods.map(({ type }) => type).join('')}  };
} = {
  name: '${service.fullName.slice(1)}',
  methods: {\n${methods.map(({ value }) => value).join('')}  },
};\n\n`;
  }

  text() {
    return (
      `// Generated by tools/generate.mjs from the .proto files. Do not edit.
import { type Codec, codec, enumOf, type Method, NO_BYTES, nested, readEntry } from '../codec.ts';
import type { Reader, Writer } from '../wire.ts';

${this.enums.map((item) => this.enumText(item)).join('')}${this.messages.map((item) => this.messageText(item)).join('')}${this.services.map((item) => this.serviceText(item)).join('')}`.trimEnd() +
      '\n'
    );
  }
}

/** The rows of errors.json as a constant, so that a reason is a type. */
function errorsText() {
  const rows = JSON.parse(readFileSync(join(home, 'errors.json'), 'utf8'));
  const lines = rows.map(({ reason, ...row }) => `  ${reason}: ${JSON.stringify(row)},\n`);
  const reasons = rows.map(({ reason }) => `\n  | '${reason}'`);
  return `// Generated by tools/generate.mjs from errors.json. Do not edit.
import type { ErrorRow } from '../errors.ts';

/** Why a call failed: the reasons of errors.json. */
export type ErrorReason =${reasons.join('')};

/** The rows of errors.json by reason. */
export const errorRows: Readonly<Record<ErrorReason, ErrorRow>> = {\n${lines.join('')}};\n`;
}

/** The formatter reads from stdin, since the folder itself is left out of linting. */
function formatted(text) {
  const args = ['biome', 'format', '--stdin-file-path=proto/src/generated.ts'];
  const stdio = ['pipe', 'pipe', 'ignore'];
  return execFileSync('npx', args, { cwd: join(home, '..'), input: text, encoding: 'utf8', stdio });
}

const files = { 'contract.ts': new Contract(load()).text(), 'errors.ts': errorsText() };
for (const [name, text] of Object.entries(files)) {
  const target = join(home, 'src/gen', name);
  const wanted = formatted(text);
  if (!process.argv.includes('--check')) writeFileSync(target, wanted);
  else if (readFileSync(target, 'utf8') !== wanted) {
    process.stderr.write(`src/gen/${name} is not what its sources say: npm run generate\n`);
    process.exitCode = 1;
  }
}
