import socket

import pytest

from tests.networks import Network, joined


def test_server_in_a_network_of_its_own_is_reached_only_from_there():
    network = Network.made()
    if network is None:
        pytest.skip("no network can be made here")
    with joined(network.file):
        server = socket.create_server(("", 0))
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.11", port)).close()
    with server, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.11", port))
    network.close()
