"""The main job of a user with Python's own xmlrpc.client:

    python3 main_job.py ENDPOINT SESSION PREFIX

A user, a host, a network, an image, a template, a machine of it, which the
scheduler places, RUNNING, then shut down. Prints the machine's last state.
"""

import sys
import time
import xml.etree.ElementTree as ET
import xmlrpc.client

ACTIVE, DONE, RUNNING, IMAGE_READY, MONITORED = 3, 6, 3, 1, 2


class Refused(Exception):
    """oned has answered with an error: its text and code."""


class One:
    def __init__(self, endpoint, session):
        self.server = xmlrpc.client.ServerProxy(endpoint)
        self.session = session

    def __call__(self, method, *args):
        answer = getattr(self.server.one, method)(self.session, *args)
        if answer[0] is not True:
            raise Refused(answer[1], answer[2])
        return answer[1]

    def info(self, method, ident):
        return ET.fromstring(self(method, ident))

    def until(self, method, ident, done):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            document = self.info(method, ident)
            if done(document):
                return document
            time.sleep(0.05)
        sys.exit("%s %s stays %s" % (method, ident, ET.tostring(document, "unicode")))


def expect(what, got, want):
    if got != want:
        sys.exit("%s is %r, not %r" % (what, got, want))


def main(endpoint, session, prefix):
    admin = One(endpoint, session)
    expect("version", admin("system.version"), "4.6.2")
    methods = admin.server.system.listMethods()
    expect("one.vm.info among the methods", "one.vm.info" in methods, True)

    name = prefix + "-用户"
    user = admin("user.allocate", name, "geheim", "core")
    expect("user name", admin.info("user.info", user).findtext("NAME"), name)
    host = admin("host.allocate", prefix + "-host", "dummy", "dummy", "dummy", -1)
    admin.until("host.info", host, lambda d: int(d.findtext("STATE")) == MONITORED)

    one = One(endpoint, name + ":geheim")
    network = one("vn.allocate", 'NAME="%s 网络"\nTYPE=FIXED\nBRIDGE=br0\nLEASES=[IP=10.9.3.7]' % prefix, -1)
    image = one("image.allocate", 'NAME="%s 镜像"\nTYPE=OS\nPATH=/image' % prefix, 1)
    one.until("image.info", image, lambda d: int(d.findtext("STATE")) == IMAGE_READY)
    template = one(
        "template.allocate",
        'NAME="%s 模板"\nCPU=0.5\nMEMORY=64\nDISK=[IMAGE_ID=%d]\nNIC=[NETWORK_ID=%d]\n'
        'SCHED_REQUIREMENTS="NAME=\\"%s-host\\""' % (prefix, image, network, prefix),
    )
    vm = one("template.instantiate", template, prefix + " 机器", False, "")
    running = one.until(
        "vm.info", vm, lambda d: int(d.findtext("STATE")) == ACTIVE and int(d.findtext("LCM_STATE")) == RUNNING
    )
    expect("name", running.findtext("NAME"), prefix + " 机器")
    expect("owner", running.findtext("UNAME"), name)
    expect("address", running.findtext("TEMPLATE/NIC/IP"), "10.9.3.7")
    expect("host", running.findtext("HISTORY_RECORDS/HISTORY/HOSTNAME"), prefix + "-host")
    one("vm.action", "shutdown", vm)
    one.until("vm.info", vm, lambda d: int(d.findtext("STATE")) == DONE)
    expect("state of the image", int(one.info("image.info", image).findtext("STATE")), IMAGE_READY)

    try:
        one("vm.info", 100000)
    except Refused as refusal:
        expect("error", refusal.args, ("[VirtualMachineInfo] Error getting virtual machine [100000].", 0x400))
    else:
        sys.exit("a machine that does not exist is shown")
    try:
        one.server.one.vm.info(one.session, "no number")
    except xmlrpc.client.Fault as fault:
        expect("fault code", fault.faultCode, -501)
    else:
        sys.exit("a text is taken for a number")
    print("VM %d DONE" % vm)


if __name__ == "__main__":
    main(*sys.argv[1:])
