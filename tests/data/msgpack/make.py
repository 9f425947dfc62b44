"""Makes envelopes.json: queue elements of a DIDComm agent, packed by the library that the agent uses.

    pip install msgpack==1.2.4 && python make.py

A text or a row of bytes is a list of pieces, each one itself or [piece, times], so that long ones stay short here.
Bytes are hex.
"""

import itertools
import json
import pathlib

import msgpack

HERE = pathlib.Path(__file__).parent
CONTENT_TYPES = {
    "jwe": "application/didcomm-encrypted+json",
    "packed": "application/ssi-agent-wire",
    "plain": "application/json",
}
ENDPOINT = ["https://agent.example/didcomm"]


def expand(pieces):
    return "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in pieces)


def pieces(data):
    """The hex of `data`, a long run of one byte as one piece."""
    found = [""]
    for byte, run in itertools.groupby(data):
        byte, times = f"{byte:02x}", len(list(run))
        if times < 24:
            found[-1] += byte * times
        else:
            found += [[byte, times], ""]
    return [piece for piece in found if piece]


def as_map(headers):
    """A repeated name, whatever its case, is joined under its first spelling."""
    joined = {}
    for name, value in headers:
        name = next((known for known in joined if known.lower() == name.lower()), name)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def case(name, headers, payload, endpoint=ENDPOINT):
    """`payload` is pieces, or the path of a file."""
    if isinstance(payload, str):
        body = (HERE.parent / payload).read_bytes()
    else:
        body = bytes.fromhex(expand(payload))
    element = {
        "headers": as_map([(name, expand(value)) for name, value in headers]),
        "endpoint": expand(endpoint),
        "payload": body,
    }
    return {
        "name": name,
        "headers": headers,
        "endpoint": endpoint,
        "payload": payload,
        "element": pieces(msgpack.packb(element)),
    }


def of_agent(path):
    content_type = CONTENT_TYPES[path.stem.split("-")[0]]
    return case(path.stem, [["Content-Type", [content_type]]], f"didcomm/{path.name}")


# On both sides of where MessagePack changes the form of a text (str8, str16, str32) or of bytes (bin16, bin32).
LENGTHS = [1, 31, 32, 255, 256, 65535, 65536]

CASES = [of_agent(path) for path in sorted((HERE.parent / "didcomm").glob("*.json"))]
CASES += [
    case("no-headers", [], ["7b7d"]),
    case(
        "repeated-names-are-joined",
        [["X-A", ["1"]], ["x-b", ["b"]], ["x-a", ["2, 3"]], ["X-B", [""]], ["X-a", ["4"]]],
        ["7b7d"],
    ),
    case("text-is-utf-8", [["x-é", ["zażółć"]]], ["00fffe80"], ["https://agent.example/ł/🦀"]),
    case("bytes-of-several-each", [["x-a", [["é", 128]]]], ["c3a9"], [["🦀", 8]]),
    case("any-scheme", [], ["7b7d"], ["didcomm:transport/queue"]),
]
CASES += [
    case(f"headers-{count}", [[f"x-{n}", [str(n)]] for n in range(count)], ["7b7d"])
    for count in [15, 16, 64]
]
CASES += [case(f"name-{length}", [["n" * length, ["1"]]], ["7b7d"]) for length in [31, 32]]
for length in LENGTHS:
    CASES.append(case(f"value-{length}", [["x-a", [["v", length]]]], ["7b7d"]))
    CASES.append(case(f"endpoint-{length}", [], ["7b7d"], [["e", length]]))
    CASES.append(case(f"payload-{length}", [], [["70", length]]))
CASES.append(case("payload-0", [], []))

lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in CASES)
(HERE / "envelopes.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
