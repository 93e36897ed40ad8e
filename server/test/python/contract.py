"""Speaks to a Tuplet server with nothing but python3-grpcio and the published .proto files.

Usage: contract.py ADDRESS GENERATED_DIR
GENERATED_DIR holds the output of `python3 -m grpc_tools.protoc` for proto/. Prints one line for
each check and exits 1 at the first that fails.
"""

import sys
import threading
import time

import grpc

address, generated = sys.argv[1:3]
sys.path.insert(0, generated)

import google  # noqa: E402
from google.protobuf import duration_pb2, struct_pb2  # noqa: E402

# Where google.protobuf is installed as a package of its own, google.rpc lies beside our generated code.
google.__path__.append(f"{generated}/google")
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from tuplet.v1 import admin_pb2, admin_pb2_grpc, space_pb2, space_pb2_grpc, tuple_pb2  # noqa: E402

SPACE = space_pb2.SpaceRef(name="python")


def value(v):
    if v is None:
        return tuple_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(v, bool):
        return tuple_pb2.Value(bool_value=v)
    if isinstance(v, int):
        return tuple_pb2.Value(int_value=v)
    if isinstance(v, float):
        return tuple_pb2.Value(float_value=v)
    if isinstance(v, str):
        return tuple_pb2.Value(string_value=v)
    if isinstance(v, bytes):
        return tuple_pb2.Value(bytes_value=v)
    if isinstance(v, list):
        return tuple_pb2.Value(list_value=tuple_pb2.ListValue(values=[value(x) for x in v]))
    if isinstance(v, dict):
        return tuple_pb2.Value(
            record_value=tuple_pb2.RecordValue(entries={k: value(x) for k, x in v.items()})
        )
    raise TypeError(type(v))


def plain(v):
    kind = v.WhichOneof("kind")
    if kind == "null_value":
        return None
    if kind == "list_value":
        return [plain(x) for x in v.list_value.values]
    if kind == "record_value":
        return {k: plain(x) for k, x in v.record_value.entries.items()}
    return getattr(v, kind)


ANY = tuple_pb2.Matcher(any=tuple_pb2.Any())


def formal(kind):
    return tuple_pb2.Matcher(formal=kind)


def template(*matchers, rest=False):
    made = [m if isinstance(m, tuple_pb2.Matcher) else tuple_pb2.Matcher(actual=value(m)) for m in matchers]
    return tuple_pb2.Template(alternatives=[tuple_pb2.Pattern(matchers=made, rest=rest)])


def make(*fields):
    return tuple_pb2.Tuple(fields=[value(f) for f in fields])


def fields(stored):
    return [plain(f) for f in stored.tuple.fields]


def seconds(s):
    return duration_pb2.Duration(seconds=int(s), nanos=int((s - int(s)) * 1e9))


def error_info(error):
    """The google.rpc.ErrorInfo of a failed call, read from grpc-status-details-bin."""
    for key, raw in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(raw).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
    raise AssertionError("no ErrorInfo in grpc-status-details-bin")


checks = 0


def check(what, condition, got=None):
    global checks
    checks += 1
    if not condition:
        print(f"not ok {checks} - {what}: got {got!r}")
        sys.exit(1)
    print(f"ok {checks} - {what}")


class Session:
    """A session kept by hand: sequences, attempts, floor."""

    def __init__(self, stub, lease=10):
        self.stub = stub
        self.id = stub.OpenSession(space_pb2.OpenSessionRequest(lease=seconds(lease), name="python")).session_id
        self.sequence = 0
        self.open = set()

    def begin(self):
        self.sequence += 1
        self.open.add(self.sequence)
        return self.sequence

    def end(self, sequence):
        self.open.discard(sequence)

    @property
    def floor(self):
        return min(self.open, default=self.sequence + 1)

    def operation(self, sequence, attempt=1):
        return space_pb2.OperationId(
            session=space_pb2.SessionOperation(
                session_id=self.id, sequence=sequence, attempt=attempt, floor=self.floor
            )
        )


def connect():
    # A subchannel pool of its own, so that closing one channel breaks one connection.
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


def acknowledge(spaces, session, sequence, tuple_id):
    receipt = space_pb2.Receipt(sequence=sequence, tuple_id=tuple_id)
    answer = spaces.Acknowledge(
        space_pb2.AcknowledgeRequest(session_id=session.id, floor=session.floor, receipts=[receipt])
    )
    session.end(sequence)
    return list(answer.received) == [receipt]


def main():
    channel = connect()
    admin = admin_pb2_grpc.AdminServiceStub(channel)
    spaces = space_pb2_grpc.TupleSpaceServiceStub(channel)
    admin.CreateSpace(admin_pb2.CreateSpaceRequest(name="python"))
    session = Session(space_pb2_grpc.SessionServiceStub(channel))
    check("opens a session", session.id > 0, session.id)

    # Write, read and take, with every kind of value.
    everything = ["all", None, True, -(2**63), 2.5, "two words \U0001f600", b"\x00\xff", [1, [2]], {"k": 1, "": None}]
    sequence = session.begin()
    written = spaces.Write(
        space_pb2.WriteRequest(space=SPACE, operation=session.operation(sequence), tuple=make(*everything))
    ).written
    session.end(sequence)
    check("writes", written.tuple_id > 0 and written.revision > 0, written)
    read = spaces.Read(space_pb2.ReadRequest(space=SPACE, template=template("all", rest=True), wait=seconds(0)))
    check("reads what was written", fields(read.found) == everything, fields(read.found))
    sequence = session.begin()
    taken = spaces.Take(
        space_pb2.TakeRequest(
            space=SPACE,
            operation=session.operation(sequence),
            template=template("all", ANY, formal(tuple_pb2.KIND_BOOL), rest=True),
            wait=seconds(0),
        )
    )
    check("takes it", taken.outcome == space_pb2.OUTCOME_FOUND and fields(taken.found) == everything, taken)
    check("acknowledges receipt", acknowledge(spaces, session, sequence, taken.found.tuple_id))
    again = spaces.Read(space_pb2.ReadRequest(space=SPACE, template=template("all", rest=True), wait=seconds(0)))
    check("it is gone", again.outcome == space_pb2.OUTCOME_NOTHING, again)

    # A blocked take, woken by a write from another connection.
    sequence = session.begin()
    blocked = spaces.Take.future(
        space_pb2.TakeRequest(
            space=SPACE,
            operation=session.operation(sequence),
            template=template("job", formal(tuple_pb2.KIND_INT)),
            wait=seconds(20),
        )
    )
    other = connect()
    time.sleep(0.2)
    check("the take blocks", not blocked.done())
    space_pb2_grpc.TupleSpaceServiceStub(other).Write(space_pb2.WriteRequest(space=SPACE, tuple=make("job", 42)))
    result = blocked.result(timeout=10)
    check("a write wakes the blocked take", fields(result.found) == ["job", 42], result)
    acknowledge(spaces, session, sequence, result.found.tuple_id)

    # A take whose connection breaks: the same identity with a new attempt fetches the same tuple.
    sequence = session.begin()
    broken = connect()
    lost = space_pb2_grpc.TupleSpaceServiceStub(broken).Take.future(
        space_pb2.TakeRequest(
            space=SPACE, operation=session.operation(sequence), template=template("job", ANY), wait=seconds(20)
        )
    )
    time.sleep(0.2)
    broken.close()
    check("the connection broke under the take", lost.done())
    spaces.Write(space_pb2.WriteRequest(space=SPACE, tuple=make("job", 43)))
    request = space_pb2.TakeRequest(
        space=SPACE, operation=session.operation(sequence, attempt=2), template=template("job", ANY), wait=seconds(10)
    )
    second = spaces.Take(request)
    check("the retry gets the tuple", fields(second.found) == ["job", 43], second)
    request.operation.session.attempt = 3
    third = spaces.Take(request)
    check("a further retry gets the same tuple", third.found.tuple_id == second.found.tuple_id, third)
    try:
        request.operation.session.attempt = 2
        spaces.Take(request, timeout=5)
        check("an attempt number used twice is refused", False)
    except grpc.RpcError as error:
        check("an attempt number used twice is refused", error_info(error).reason == "FENCED", error)
    acknowledge(spaces, session, sequence, second.found.tuple_id)

    # Notify, broken off and resumed.
    notify(spaces)

    # Errors: the code, and the reason from the details.
    try:
        spaces.Read(space_pb2.ReadRequest(space=space_pb2.SpaceRef(name="nowhere"), template=template(ANY)))
        check("an unknown space is refused", False)
    except grpc.RpcError as error:
        check("an unknown space is NOT_FOUND", error.code() == grpc.StatusCode.NOT_FOUND, error)
        info = error_info(error)
        check("with its reason", (info.domain, info.reason) == ("tuplet.dev", "SPACE_NOT_FOUND"), info)
    try:
        spaces.Write(space_pb2.WriteRequest(space=SPACE, tuple=tuple_pb2.Tuple()))
        check("an empty tuple is refused", False)
    except grpc.RpcError as error:
        check("an empty tuple is INVALID_ARGUMENT", error.code() == grpc.StatusCode.INVALID_ARGUMENT, error)

    space_pb2_grpc.SessionServiceStub(channel).CloseSession(space_pb2.CloseSessionRequest(session_id=session.id))
    try:
        space_pb2_grpc.SessionServiceStub(channel).KeepSession(space_pb2.KeepSessionRequest(session_id=session.id))
        check("a closed session is refused", False)
    except grpc.RpcError as error:
        check("a closed session is SESSION_EXPIRED", error_info(error).reason == "SESSION_EXPIRED", error)
    print(f"1..{checks}")


def notify(spaces):
    request = space_pb2.NotifyRequest(
        space=SPACE,
        template=template("event", ANY),
        kinds=[space_pb2.EVENT_KIND_WRITTEN],
    )
    request.now.SetInParent()
    stream = spaces.Notify(request)
    cursor = next(stream).cursor
    check("notify begins with a cursor", len(cursor) > 0)
    for i in range(5):
        spaces.Write(space_pb2.WriteRequest(space=SPACE, tuple=make("event", i)))
    seen, places = [], {}
    for message in stream:
        for event in message.events:
            seen.append(plain(event.tuple.tuple.fields[1]))
            places[event.place.partition] = event.place
        if message.cursor:
            cursor, places = message.cursor, {}
        if len(seen) >= 3:
            break
    stream.cancel()
    for i in range(5, 8):
        spaces.Write(space_pb2.WriteRequest(space=SPACE, tuple=make("event", i)))
    resumed = space_pb2.NotifyRequest(
        space=SPACE,
        template=request.template,
        kinds=request.kinds,
        cursor=cursor,
        seen=places.values(),
    )
    stream = spaces.Notify(resumed)
    timer = threading.Timer(10, stream.cancel)
    timer.start()
    for message in stream:
        seen.extend(plain(event.tuple.tuple.fields[1]) for event in message.events)
        if len(seen) >= 8:
            break
    timer.cancel()
    stream.cancel()
    check("notify resumes without gap or repetition", seen == list(range(8)), seen)


main()
