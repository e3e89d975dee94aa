"""What the lines of pvserver mean, as ParaView 5.11 prints them."""

from __future__ import annotations

from mpirender.sessions import server
from mpirender.sessions.server import Notice

START = ["Waiting for client...", "Connection URL: cs://n3:0", "Accepting connection(s): n3:37091"]
WRONG_ID = [
    "\x1b[0m\x1b[31m(  40.972s) [pvserver.0 ]vtkTCPNetwork:572 ERR| Client and server connection ids do not match",
    "\x1b[0m\x1b[33m(  40.972s) [pvserver.0      ]vtkTCPNetworkAccessMana:343   WARN| vtkTCPNetworkAccessManager: ",
    " Connection failed during handshake. The server has a different ",
    " connection id than the client.",
]
OTHER_VERSION = ["( 176.401s) [pvserver.0 ]vtkSocketCommunicator.c:486 ERR| Client/server version hash mismatch."]
GARBAGE = ["(  31.790s) [pvserver.0 ]vtkSocketCommunicator.c:421 ERR| Endian handshake failed."]


def test_the_port_is_that_of_the_line_about_accepting() -> None:
    assert list(server.Output().read(START)) == [Notice("accepting", "n3", 37091)]


def test_each_refused_client_is_noticed_once() -> None:
    noticed = list(server.Output().read([*WRONG_ID, *OTHER_VERSION, *GARBAGE, "Client connected."]))
    assert [notice.what for notice in noticed] == ["id", "version", "garbage", "connected"]


def test_the_refusals_of_the_check_for_readiness_are_not_noticed() -> None:
    output = server.Output()
    output.expect_own_check()
    assert [notice.what for notice in output.read([*OTHER_VERSION, *WRONG_ID, *WRONG_ID])] == ["id"]


def test_a_taken_port_is_the_problem_though_the_exit_code_is_0() -> None:
    output = server.Output()
    assert list(output.read(["  ERR| vtkServerSocket: Socket error in call to bind. Address already in use."])) == []
    assert "Address already in use" in output.problem


def test_a_server_listens_on_a_free_port_with_its_id_and_tells_clients_its_time() -> None:
    assert server.words("/opt/pvserver", 5, 0, 90) == [
        "/opt/pvserver", "--server-port=0", "--connect-id=5", "--force-offscreen-rendering", "--timeout=90"
    ]  # fmt: skip


def test_a_reverse_server_connects_to_the_client() -> None:
    words = server.words("pvserver", 5, 0, None, "login.site.org:22008")
    assert words[1:4] == ["--reverse-connection", "--client-host=login.site.org", "--server-port=22008"]


def test_connection_ids_differ_and_are_numbers_that_paraview_accepts() -> None:
    ids = {server.new_id() for _ in range(50)}
    assert len(ids) > 45
    assert all(0 < number < 2**31 for number in ids)
