"""The file with which ParaView's Connect dialog starts a session on a cluster, through ssh."""

from __future__ import annotations

import shlex
from xml.sax.saxutils import quoteattr

from mpirender.sessions import resources
from mpirender.system import site

FIRST_PORT, LAST_PORT = 20000, 60000  # of the login node, of which ParaView picks one
PVSC = """\
<Servers>
  <Server name={name} resource={resource}>
    <CommandStartup>
      <Options>
        <Option name="MEMORY" label="Memory of the data"><String default={memory}/></Option>
        <Option name="TIME" label="Time limit"><String default="1:30:00"/></Option>
        <Option name="PARTITION" label="Partition (or empty)"><String default=""/></Option>
        <Option name="PV_SERVER_PORT" label="Port (random)" save="false" readonly="true">
          <Range type="int" min="{first}" max="{last}" default="random"/>
        </Option>
        <Option name="PV_CONNECT_ID" label="Connection id (random)" save="false" readonly="true">
          <Range type="int" min="1" max="2147483647" default="random"/>
        </Option>
      </Options>
      <SSHCommand exec={program} timeout="0" delay="5">
        <SSHConfig user={user}>
          <PortForwarding local="{local_port}"/>
        </SSHConfig>
        <Arguments>
          <Argument value="serve"/>
          <Argument value="--memory=$MEMORY$"/>
          <Argument value="--time=$TIME$"/>
          <Argument value="--partition=$PARTITION$"/>
          <Argument value="--client-version=$PV_VERSION_FULL$"/>
          <Argument value="--relay=$PV_SERVER_PORT$"/>
        </Arguments>
      </SSHCommand>
    </CommandStartup>
  </Server>
</Servers>
"""


def server_file(login: str, program: str, local_port: int) -> str:
    """Return the content of the file.

    The connection id reaches mpirender in a variable: all users of the login node can read its arguments.

    :param login: user@host of the login node.
    :param program: path of mpirender there.
    """
    user, _, host = login.rpartition("@")
    values = {
        "name": f"{host} (mpirender)", "resource": f"cs://{host}:{FIRST_PORT}", "user": user,
        "memory": resources.option_text(resources.rank_memory()),
        "program": f"env {site.CONNECT_ID}=$PV_CONNECT_ID$ {shlex.quote(program)}",
    }  # fmt: skip
    quoted = {key: quoteattr(value) for key, value in values.items()}
    return PVSC.format(first=FIRST_PORT, last=LAST_PORT, local_port=local_port, **quoted)
