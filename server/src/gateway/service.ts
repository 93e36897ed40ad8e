/** The contract's services as grpc-js takes them: bytes in, bytes out; our codecs stand in between. */
import type {
  MethodDefinition,
  Server,
  ServerInterceptor,
  ServiceDefinition,
  UntypedHandleCall,
} from '@grpc/grpc-js';
import * as contract from '@tuplet/proto/contract';
import { type AdminPorts, adminHandlers } from './admin.ts';
import { checkSize, plainBytes, type RouterCall } from './decode.ts';
import { Exchange, type ExchangePorts } from './exchange.ts';
import { exchangeInterceptor } from './exchange-call.ts';
import { type NotifyPorts, notifyHandler } from './notify-handler.ts';
import { type ReadGroupPorts, readGroupHandler } from './read-group.ts';
import { takeHandler, type UnaryMethod, type UnaryPorts, unaryHandler } from './unary.ts';

/** What all handlers together need. */
export interface ServicePorts {
  readonly unary: UnaryPorts;
  readonly notify: NotifyPorts;
  readonly admin: AdminPorts;
  readonly readGroup: ReadGroupPorts;
}

/** The part of a contract's method that does not hang on its messages. */
interface AnyMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly request: { decode(bytes: Uint8Array, unknownFields: 'refuse'): unknown };
  readonly response: { encode(message: never): Uint8Array };
}

/** Adds the three services of the contract to a server. */
export function addServices(server: Server, ports: ServicePorts): void {
  const { exchange, notify, ...calls } = contract.TupleSpaceService.methods;
  addCalls(server, calls, ports.unary);
  addCalls(server, contract.SessionService.methods, ports.unary);
  // Its calls are taken by the interceptor, before they would come here.
  add(server, exchange, notOffered);
  add(server, notify, notifyHandler(ports.notify));
  const handlers = adminHandlers(ports.admin);
  const { readGroup, ...administration } = contract.AdminService.methods;
  add(server, readGroup, readGroupHandler(ports.readGroup));
  for (const [name, method] of Object.entries(administration))
    add(server, method, handlers[name] ?? notOffered);
}

/** What the server is made with: Exchange is driven below the streams of grpc-js. */
export function interceptors(ports: ExchangePorts): ServerInterceptor[] {
  const { path } = contract.TupleSpaceService.methods.exchange;
  return [exchangeInterceptor(path, (stream) => new Exchange(stream, ports).start())];
}

type CallName = Exclude<RouterCall['kind'], undefined>;

/** Unary calls; the contract names each as `Exchange` names its counterpart. */
function addCalls(
  server: Server,
  methods: { readonly [name in CallName]?: AnyMethod },
  ports: UnaryPorts,
): void {
  for (const [name, method] of Object.entries(methods)) {
    const unary = unaryMethod(name as CallName, method);
    const takes = name === 'take' || name === 'takeMany';
    // On the wire a stream of one message is a unary answer; see takeHandler.
    if (takes) add(server, { ...method, responseStream: true }, takeHandler(ports, unary));
    else add(server, method, unaryHandler(ports, unary));
  }
}

function unaryMethod(kind: CallName, method: AnyMethod): UnaryMethod {
  return {
    decode(bytes) {
      checkSize(bytes);
      return { kind, value: method.request.decode(plainBytes(bytes), 'refuse') } as RouterCall;
    },
    encode(reply) {
      const bytes = method.response.encode(reply.value as never);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
  };
}

function add(
  server: Server,
  method: Omit<AnyMethod, 'request' | 'response'>,
  handler: unknown,
): void {
  const definition: MethodDefinition<Buffer, Buffer> = {
    path: method.path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  const service: ServiceDefinition = { call: definition };
  server.addService(service, { call: handler as UntypedHandleCall });
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

function notOffered(): never {
  throw new Error('the method has no handler');
}
