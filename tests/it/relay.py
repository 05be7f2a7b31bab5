"""A TCP relay in front of a real server, for what a network does: it can be pointed elsewhere, stopped, and made to swallow cancel requests."""
import select
import socket
import struct
import threading

CANCEL = 80877102


class Relay:
    """Listens on address:port (0: any) and passes each connection on to 127.0.0.1:to."""

    def __init__(self, to, address="127.0.0.1", port=0):
        self.to, self.swallow_cancels = to, False
        self.open, self.swallowed, self.accepted = set(), 0, 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        self.address, self.port = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = None
        self.open.add(client)
        try:
            first = client.recv(65536)
            if len(first) >= 8 and struct.unpack(">I", first[4:8])[0] == CANCEL and self.swallow_cancels:
                self.swallowed += 1
                client.recv(1)
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            self.open.add(server)
            server.sendall(first)
            while True:
                for s in select.select([client, server], [], [])[0]:
                    data = s.recv(65536)
                    if not data:
                        return
                    (server if s is client else client).sendall(data)
        except OSError:
            pass
        finally:
            for s in (client, server):
                if s is not None:
                    self.open.discard(s)
                    s.close()

    def stop(self):
        """No connection is left, and none can be made."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for s in list(self.open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
