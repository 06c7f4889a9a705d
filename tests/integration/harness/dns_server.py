"""A DNS server for what real ones do seldom: one zone, TXT records, over TCP, misbehaving."""

import socket
import socketserver
import struct
import threading

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class DnsServer:
    """A context manager on a free port of 127.0.0.1.

    `spoil(question, answer, connection)` may change the answer, give other bytes instead, or None
    for silence; `connection` is for closing. `records` are {owner: set of TXT values}; with a `key` answers are signed.
    """

    def __init__(self, zone, spoil=None, key=None):
        self._key = key
        self.zone = dns.name.from_text(zone)
        self.records = {}
        self.updates = 0
        self._spoil = spoil or (lambda question, answer, connection: answer)

    def __enter__(self):
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer._talk(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, connection):
        stream = connection.makefile("rb")
        while length := stream.read(2):
            wire = stream.read(struct.unpack("!H", length)[0])
            question = dns.message.from_wire(wire, keyring=self._key)
            answer = self._spoil(question, self._answer(question), connection)
            if answer is None:
                continue
            wire = answer if isinstance(answer, bytes) else answer.to_wire()
            try:
                connection.sendall(struct.pack("!H", len(wire)) + wire)
            except OSError:  # closed by us or by them
                return

    def _answer(self, question):
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        if question.opcode() == dns.opcode.UPDATE:
            self._update(question)
            return answer
        asked = question.question[0]
        if asked.rdtype == dns.rdatatype.TXT and self.records.get(asked.name):
            values = [" ".join(f'"{value[i : i + 255]}"' for i in range(0, len(value), 255))
                      for value in sorted(self.records[asked.name])]
            answer.answer.append(dns.rrset.from_text(asked.name, 300, "IN", "TXT", *values))
        else:
            soa = dns.rrset.from_text(self.zone, 300, "IN", "SOA", "ns. root. 1 1 1 1 1")
            answer.authority.append(soa)
        return answer

    def _update(self, question):
        self.updates += 1
        for rrset in question.update:
            values = self.records.setdefault(rrset.name, set())
            for rdata in rrset:
                text = b"".join(rdata.strings).decode()
                if rrset.deleting == dns.rdataclass.NONE:
                    values.discard(text)
                else:
                    values.add(text)


def close(connection):
    """The other side sees the end, whatever is on its way."""
    connection.shutdown(socket.SHUT_RDWR)
