#!/usr/bin/env python3
"""An SMSC for tests, on a third party's PDU codec (pip: smpp.pdu3; nothing else beyond the standard library).

It accepts binds, answers submit_sm, sends receipts early, late or never, throttles, refuses, goes silent, and delivers
texts. It is driven over HTTP with JSON; both ports are chosen by the system and printed as one JSON line:

    {"smpp_port": 40001, "control_port": 40002}

Control:
    POST   /config      any keys of DEFAULTS below; answers the whole configuration
    GET    /messages    every submit_sm so far, in order
    DELETE /messages    forgets them
    GET    /binds       who is bound: [{"system_id", "mode"}]
    POST   /deliver     {"from", "to", "text", "coding": gsm7|latin1|ucs2, "concat": none|udh8|udh16|sar|payload,
                         "order": [2, 1, ...] (parts to send, from 1), "reference": 7}; waits for the responses and
                        answers {"statuses": [...]}
    POST   /receipt     {"message_id" (as in the response), "state": DELIVRD ..., "error": "000"}; waits likewise
    POST   /unbind      sends unbind on every bind
    POST   /disconnect  cuts every connection
"""

import argparse
import asyncio
import json
import os
import stat
import struct
import sys
import time
from io import BytesIO

from smpp.pdu.operations import (
    BindReceiver, BindTransceiver, BindTransmitter, DeliverSM, EnquireLink, GenericNack, SubmitSM, Unbind,
)
from smpp.pdu.pdu_encoding import PDUEncoder
from smpp.pdu.pdu_types import (
    AddrNpi, AddrTon, CommandStatus, DataCoding, DataCodingDefault, DataCodingScheme, EsmClass, EsmClassGsmFeatures,
    EsmClassMode, EsmClassType, MessageState,
)

DEFAULTS = {
    "system_id": None,            # None: anybody may bind
    "password": None,
    "bind_status": "ESME_ROK",
    "id_form": "decimal",         # of the response: decimal, hex, upper, padded (decimal with zeros to 10), uuid
    "receipt_id_form": "same",    # of the receipt: same, decimal, hex, upper, padded
    "receipt": "late",            # early (before the response), late (receipt_delay_ms after it), never
    "receipt_delay_ms": 20,
    "receipt_state": "DELIVRD",
    "receipt_error": "000",
    "receipt_tlv": True,          # receipted_message_id and message_state
    "receipt_text": True,
    "submit_status": "ESME_ROK",  # for every submit_sm
    "submit_statuses": [],        # used up first, one per submit_sm
    "submits_per_second": 0,      # more get ESME_RTHROTTLED; 0: no limit
    "response_delay_ms": 0,
    "silent": False,              # take submit_sm, answer nothing at all
    "enquire_link": True,         # answer it
}

STATES = {
    "DELIVRD": MessageState.DELIVERED, "EXPIRED": MessageState.EXPIRED, "DELETED": MessageState.DELETED,
    "UNDELIV": MessageState.UNDELIVERABLE, "ACCEPTD": MessageState.ACCEPTED, "UNKNOWN": MessageState.UNKNOWN,
    "REJECTD": MessageState.REJECTED, "ENROUTE": MessageState.ENROUTE,
}
CODINGS = {
    "gsm7": DataCodingDefault.SMSC_DEFAULT_ALPHABET, "latin1": DataCodingDefault.LATIN_1,
    "ucs2": DataCodingDefault.UCS2,
}
# GSM 03.38, as far as the tests send it: what differs from ASCII.
GSM7_BASIC = {"@": 0x00, "£": 0x01, "$": 0x02, "¥": 0x03, "è": 0x04, "é": 0x05, "_": 0x11, "Ä": 0x5B, "Ö": 0x5C,
              "Ü": 0x5E, "§": 0x5F, "ä": 0x7B, "ö": 0x7C, "ñ": 0x7D, "ü": 0x7E, "à": 0x7F, "ß": 0x1E}
GSM7_EXTENSION = {"^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}
GSM7_BACK = {code: character for character, code in GSM7_BASIC.items()}
GSM7_EXTENSION_BACK = {code: character for character, code in GSM7_EXTENSION.items()}


def encode_text(text, coding):
    if coding == "ucs2":
        return text.encode("utf-16-be")
    if coding == "latin1":
        return text.encode("latin-1")
    octets = bytearray()
    for character in text:
        if character in GSM7_EXTENSION:
            octets += bytes([0x1B, GSM7_EXTENSION[character]])
        else:
            octets.append(GSM7_BASIC.get(character, ord(character)))
    return bytes(octets)


def decode_text(octets, coding):
    if coding == DataCodingDefault.UCS2:
        return octets.decode("utf-16-be", "replace")
    if coding == DataCodingDefault.LATIN_1:
        return octets.decode("latin-1")
    text, escaped = "", False
    for octet in octets:
        if octet == 0x1B and not escaped:
            escaped = True
            continue
        text += GSM7_EXTENSION_BACK.get(octet, "?") if escaped else GSM7_BACK.get(octet, chr(octet))
        escaped = False
    return text


def form_id(number, form):
    return {
        "decimal": str(number), "hex": format(number, "x"), "upper": format(number, "X"), "padded": f"{number:010d}",
        "uuid": f"{number:08x}-0000-4000-8000-0123456789AB",
    }[form]


class Smsc:
    def __init__(self):
        self.config = dict(DEFAULTS)
        self.messages = []
        self.links = []
        # Not derived from the time: ids must differ between hex and decimal, so they start where the forms do.
        self.next_id = 1_000_000_007
        self.by_id = {}
        self.second = (0, 0)

    async def accept(self, reader, writer):
        link = Link(self, reader, writer)
        self.links.append(link)
        try:
            await link.run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.links.remove(link)
            link.fail()
            writer.close()

    def submit_status(self):
        if self.config["submit_statuses"]:
            return self.config["submit_statuses"].pop(0)
        limit = self.config["submits_per_second"]
        if limit:
            second, count = self.second
            now = int(time.monotonic())
            count = count + 1 if second == now else 1
            self.second = (now, count)
            if count > limit:
                return "ESME_RTHROTTLED"
        return self.config["submit_status"]

    def receivers(self):
        return [link for link in self.links if link.mode in ("receiver", "transceiver")]

    async def deliver(self, pdu_of_sequence):
        """Over the newest bind that can receive; the status of the response, or why there is none."""
        receivers = self.receivers()
        if not receivers:
            return "NOT_BOUND"
        return await receivers[-1].request(pdu_of_sequence)

    async def deliver_text(self, wanted):
        coding, concat = wanted.get("coding", "gsm7"), wanted.get("concat", "none")
        octets = encode_text(wanted["text"], coding)
        size = {"none": 254, "payload": 65_535, "udh8": 134, "udh16": 132, "sar": 134}[concat]
        parts = [octets[at:at + size] for at in range(0, len(octets), size)] or [b""]
        reference, total = wanted.get("reference", 7), len(parts)
        statuses = []
        for number in wanted.get("order") or range(1, total + 1):
            part, options, features = parts[number - 1], {}, []
            if concat == "udh8":
                part = struct.pack(">BBBBBB", 5, 0, 3, reference & 0xFF, total, number) + part
                features = [EsmClassGsmFeatures.UDHI_INDICATOR_SET]
            elif concat == "udh16":
                part = struct.pack(">BBBHBB", 6, 8, 4, reference, total, number) + part
                features = [EsmClassGsmFeatures.UDHI_INDICATOR_SET]
            elif concat == "sar":
                options = {"sar_msg_ref_num": reference, "sar_total_segments": total, "sar_segment_seqnum": number}
            elif concat == "payload":
                options, part = {"message_payload": part}, b""
            esm_class = EsmClass(EsmClassMode.DEFAULT, EsmClassType.DEFAULT, features)
            data_coding = DataCoding(DataCodingScheme.DEFAULT, CODINGS[coding])
            statuses.append(await self.deliver(lambda sequence: DeliverSM(
                sequence, source_addr_ton=AddrTon.INTERNATIONAL, source_addr_npi=AddrNpi.ISDN,
                source_addr=wanted["from"].lstrip("+").encode(), dest_addr_ton=AddrTon.INTERNATIONAL,
                dest_addr_npi=AddrNpi.ISDN, destination_addr=wanted["to"].lstrip("+").encode(), esm_class=esm_class,
                data_coding=data_coding, short_message=part, **options)))
        return statuses

    async def deliver_receipt(self, message, state, error):
        form = self.config["receipt_id_form"]
        receipt_id = message["message_id"] if form == "same" else form_id(message["number"], form)
        stamp = time.strftime("%y%m%d%H%M")
        text = (f"id:{receipt_id} sub:001 dlvrd:{'001' if state == 'DELIVRD' else '000'} submit date:{stamp} "
                f"done date:{stamp} stat:{state} err:{error} text:{message['text'][:20]}")
        options = {}
        if self.config["receipt_tlv"]:
            options = {"receipted_message_id": receipt_id.encode(), "message_state": STATES[state]}
        octets = text.encode("latin-1", "replace") if self.config["receipt_text"] else b""
        return await self.deliver(lambda sequence: DeliverSM(
            sequence, source_addr_ton=AddrTon.INTERNATIONAL, source_addr_npi=AddrNpi.ISDN,
            source_addr=message["to"].encode(), dest_addr_ton=AddrTon.INTERNATIONAL, dest_addr_npi=AddrNpi.ISDN,
            destination_addr=message["from"].encode(),
            esm_class=EsmClass(EsmClassMode.DEFAULT, EsmClassType.SMSC_DELIVERY_RECEIPT), short_message=octets,
            **options))


class Link:
    def __init__(self, smsc, reader, writer):
        self.smsc, self.reader, self.writer = smsc, reader, writer
        self.codec = PDUEncoder()
        self.mode, self.system_id = None, None
        self.sequence = 0
        self.waiting = {}

    async def run(self):
        while True:
            head = await self.reader.readexactly(4)
            length = struct.unpack(">I", head)[0]
            frame = head + await self.reader.readexactly(length - 4)
            pdu = self.codec.decode(BytesIO(frame))
            if isinstance(pdu, (BindReceiver, BindTransmitter, BindTransceiver)):
                if not self.bind(pdu):
                    return
            elif isinstance(pdu, SubmitSM):
                asyncio.ensure_future(self.submit(pdu, frame))
            elif isinstance(pdu, EnquireLink):
                if self.smsc.config["enquire_link"]:
                    self.send(pdu.requireAck(pdu.seqNum))
            elif isinstance(pdu, Unbind):
                self.send(pdu.requireAck(pdu.seqNum))
                await self.writer.drain()
                return
            elif pdu.seqNum in self.waiting:
                self.waiting.pop(pdu.seqNum).set_result(pdu.status.name)
            else:
                self.send(GenericNack(pdu.seqNum, CommandStatus.ESME_RINVCMDID))

    def bind(self, pdu):
        config = self.smsc.config
        said = (pdu.params["system_id"].decode(), pdu.params["password"].decode())
        status = config["bind_status"]
        if config["system_id"] is not None and said != (config["system_id"], config["password"]):
            status = "ESME_RINVPASWD"
        self.send(pdu.requireAck(pdu.seqNum, CommandStatus[status], system_id=b"smsc"))
        if status != "ESME_ROK":
            return False
        self.system_id = said[0]
        self.mode = type(pdu).__name__.removeprefix("Bind").lower()
        return True

    async def submit(self, pdu, frame):
        smsc, config, params = self.smsc, self.smsc.config, pdu.params
        octets = params["short_message"] or params.get("message_payload") or b""
        udh = None
        if EsmClassGsmFeatures.UDHI_INDICATOR_SET in params["esm_class"].gsmFeatures:
            udh, octets = octets[:octets[0] + 1], octets[octets[0] + 1:]
        number = smsc.next_id
        smsc.next_id += 1
        status = smsc.submit_status()
        message = {
            "number": number, "message_id": form_id(number, config["id_form"]), "status": status,
            "from": params["source_addr"].decode("latin-1"), "to": params["destination_addr"].decode("latin-1"),
            "from_ton": params["source_addr_ton"].name, "to_ton": params["dest_addr_ton"].name,
            "text": decode_text(octets, params["data_coding"].schemeData), "octets": octets.hex(),
            "coding": params["data_coding"].schemeData.name, "udh": udh.hex() if udh else None,
            "validity": str(params["validity_period"]), "receipt_wanted": params["registered_delivery"].receipt.name,
            "frame": frame.hex(), "at": time.time(), "system_id": self.system_id, "receipt_status": None,
        }
        smsc.messages.append(message)
        smsc.by_id[message["message_id"]] = message
        if config["silent"]:
            return
        taken = status == "ESME_ROK"
        if taken and config["receipt"] == "early":
            # Sent before the response; its own response is awaited elsewhere, or both sides would wait.
            asyncio.ensure_future(self.report(message, 0))
            await asyncio.sleep(0.02)
        if config["response_delay_ms"]:
            await asyncio.sleep(config["response_delay_ms"] / 1000)
        extra = {"message_id": message["message_id"].encode()} if taken else {}
        self.send(pdu.requireAck(pdu.seqNum, CommandStatus[status], **extra))
        if taken and config["receipt"] == "late":
            asyncio.ensure_future(self.report(message, config["receipt_delay_ms"] / 1000))

    async def report(self, message, wait):
        await asyncio.sleep(wait)
        config = self.smsc.config
        message["receipt_status"] = await self.smsc.deliver_receipt(
            message, config["receipt_state"], config["receipt_error"])

    async def request(self, pdu_of_sequence):
        self.sequence += 1
        answer = asyncio.get_running_loop().create_future()
        self.waiting[self.sequence] = answer
        self.send(pdu_of_sequence(self.sequence))
        try:
            return await asyncio.wait_for(answer, 30)
        except asyncio.TimeoutError:
            return "NO_ANSWER"

    def send(self, pdu):
        if not self.writer.is_closing():
            self.writer.write(self.codec.encode(pdu))

    def fail(self):
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_result("DISCONNECTED")


async def answer(smsc, method, path, body):
    if (method, path) == ("POST", "/config"):
        unknown = set(body) - set(DEFAULTS)
        if unknown:
            return 400, {"error": f"unknown keys: {sorted(unknown)}"}
        smsc.config.update(body)
        return 200, smsc.config
    if (method, path) == ("GET", "/messages"):
        return 200, smsc.messages
    if (method, path) == ("DELETE", "/messages"):
        smsc.messages.clear()
        return 200, {}
    if (method, path) == ("GET", "/binds"):
        return 200, [{"system_id": link.system_id, "mode": link.mode} for link in smsc.links if link.mode]
    if (method, path) == ("POST", "/deliver"):
        return 200, {"statuses": await smsc.deliver_text(body)}
    if (method, path) == ("POST", "/receipt"):
        message = smsc.by_id.get(body["message_id"])
        if message is None:
            return 404, {"error": "no such message"}
        status = await smsc.deliver_receipt(message, body.get("state", "DELIVRD"), body.get("error", "000"))
        return 200, {"status": status}
    if (method, path) == ("POST", "/unbind"):
        return 200, {"statuses": [await link.request(lambda sequence: Unbind(sequence)) for link in list(smsc.links)]}
    if (method, path) == ("POST", "/disconnect"):
        for link in list(smsc.links):
            link.writer.transport.abort()
        return 200, {}
    return 404, {"error": "no such thing"}


async def control(smsc, reader, writer):
    """HTTP/1.1 as far as curl and test clients need it, one request per connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
        length = 0
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        raw = await reader.readexactly(length)
        try:
            status, result = await answer(smsc, method, path, json.loads(raw) if raw else {})
        except Exception as error:  # a test must see what went wrong, not a closed connection
            status, result = 500, {"error": f"{type(error).__name__}: {error}"}
        payload = json.dumps(result).encode()
        writer.write(f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
                     "Connection: close\r\n\r\n".encode() + payload)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description="An SMSC for tests")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--config", default="{}", help="JSON of the keys that /config takes")
    options = parser.parse_args()
    smsc = Smsc()
    smsc.config.update(json.loads(options.config))
    server = await asyncio.start_server(smsc.accept, options.host, options.port)
    http = await asyncio.start_server(lambda r, w: control(smsc, r, w), options.host, options.control_port)
    ports = {"smpp_port": server.sockets[0].getsockname()[1], "control_port": http.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    # The codec prints while it parses times; nobody reads that.
    sys.stdout = open(os.devnull, "w")
    async with server, http:
        # With a pipe as standard input it ends when that closes, with whoever started it; else when it is killed.
        if stat.S_ISFIFO(os.fstat(0).st_mode):
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        else:
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
