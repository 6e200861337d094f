"""What the writers of random scripts have in common: numbers as scripts have them, descriptors."""


def number(value):
    """A number with the suffix that makes it short: 64K, 0x800000000000000."""
    if value < 0 or value >= 1 << 50:
        return hex(value & (1 << 64) - 1)
    for shift, suffix in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
        if value and value % (1 << shift) == 0:
            return f"{value >> shift}{suffix}"
    return str(value)


def total(*terms):
    """A sum of terms, each a number or a text: $m+64K+1, without zeroes."""
    texts = [term if isinstance(term, str) else number(term) for term in terms if term != 0]
    return "+".join(texts) or "0"


class Descriptors:
    """The names of a script's descriptors and which open file each one stands for.

    A name that was closed may only be used until another descriptor is opened, as that one may have
    got its number.
    """

    def __init__(self):
        self.files = {}  # by name
        self.closed = set()  # names whose number nobody has yet
        self.count = 0

    def open(self, name, kind):
        """A name for a new file; returns the file."""
        self.count += 1
        self.files[name] = (kind, self.count)
        self.closed.clear()
        return self.files[name]

    def duplicate(self, name, copy):
        self.files[copy] = self.files[name]
        self.closed.clear()

    def close(self, name):
        """True if that was the file's last name."""
        file = self.files.pop(name)
        self.closed.add(name)
        return file not in self.files.values()

    def names(self, kind):
        return [name for name, file in self.files.items() if file[0] == kind]

    def unused(self, names):
        """The first of the names that stands for no file."""
        return next((name for name in names if name not in self.files), None)


class Writer:
    """Writes one script. What follows is of any kind of container; one group with one device.

    A writer follows what calls come to, so that most of what it writes gets beyond first checks.
    """

    GOOD_TYPES = ()  # what SET_IOMMU accepts
    OTHER_TYPES = ()
    LINES = (20, 60)

    def __init__(self, rng):
        self.rng = rng
        self.lines = []
        self.descriptors = Descriptors()
        self.memory = {}  # sizes of the memory that variables stand for
        self.attached = None  # the container that the group is in
        self.type = None  # what that container's SET_IOMMU chose
        self.process = 0  # 0 outside of fork and endfork
        self.forks = 0

    # For the kinds of containers.

    def own_calls(self):
        """Functions that write a call each, and how often each is wanted."""
        raise NotImplementedError

    def forked_calls(self):
        """Those of own_calls that a child may make."""
        raise NotImplementedError

    def is_free(self):
        """Whether a child may still make the container its own."""
        return False

    def on_set_iommu(self):
        """The attached container has its type."""

    def on_release(self):
        """The group left the container, which forgets everything."""

    # For all.

    def say(self, *words):
        self.lines.append(" ".join(str(word) for word in words))

    def chance(self, percentage):
        return self.rng.random() * 100 < percentage

    def write(self):
        """Returns the script's lines."""
        length = self.rng.randint(*self.LINES)
        self.write_memory()
        while len(self.lines) < length:
            if not self.type and self.chance(85):
                self.come_closer()
            else:
                self.write_one(self.common_calls() | self.own_calls())
        return self.lines

    def write_one(self, calls):
        self.rng.choices(list(calls), list(calls.values()))[0]()

    def write_memory(self):
        for name, kind in (("m", "anon"), ("n", "anon"), ("s", "memfd"), ("r", "ro")):
            size = self.rng.choice([64, 128, 256, 1024]) << 10
            self.say(kind, name, number(size))
            self.memory[name] = size

    def come_closer(self):
        """The next step to a container that can be used."""
        if not self.descriptors.names("container"):
            self.open_container()
        elif not self.descriptors.names("group"):
            self.open_group()
        elif not self.attached:
            self.set_container()
        else:
            self.set_iommu()

    def common_calls(self):
        return {
            self.open_container: 0.5,
            self.open_group: 0.5,
            self.set_container: 0.5,
            self.set_iommu: 1,
            self.unset_container: 0.7,
            self.get_device: 2,
            self.ask_device: 1,
            self.status: 1,
            self.extension: 1,
            self.duplicate: 1,
            self.close: 1,
            self.fork: 1.5,
        }

    def any_of(self, kind, others):
        """A name of a descriptor, now and then one that is closed or another's; None if none is."""
        names = self.descriptors.names(kind)
        if self.chance(3) or not names:
            names = [*names, *self.descriptors.closed, *(self.descriptors.names(others))]
        return self.rng.choice(sorted(names)) if names else None

    def container(self):
        """A container's name, mostly of the one that the group is in."""
        names = [
            name for name, file in self.descriptors.files.items() if file == self.attached
        ]
        return self.rng.choice(names) if names and self.chance(95) else self.any_of(
            "container", "group"
        )

    def is_attached(self, name):
        return self.attached is not None and self.descriptors.files.get(name) == self.attached

    def open_container(self):
        name = self.descriptors.unused(("c", "c2"))
        if name:
            self.descriptors.open(name, "container")
            self.say("open", name, "/dev/vfio/vfio")

    def open_group(self):
        """A group is opened once: the second time is EBUSY, and the descriptor is -1."""
        name = self.descriptors.unused(("g", "g2"))
        if not name:
            return
        busy = self.group_is_open()
        self.descriptors.open(name, "none" if busy else "group")
        self.say("open", name, "/dev/vfio/{GROUP}")
        if busy:
            self.descriptors.close(name)

    def group_is_open(self):
        return bool(self.descriptors.names("group") or self.descriptors.names("device"))

    def set_container(self):
        group, container = self.any_of("group", "container"), self.any_of("container", "group")
        if not group or not container:
            return
        self.say("setcontainer", group, container)
        file = self.descriptors.files.get(container, ("none", 0))
        if group in self.descriptors.names("group") and file[0] == "container":
            self.attached = self.attached or file

    def set_iommu(self):
        name = self.container()
        if not name:
            return
        wanted = self.rng.choice(self.OTHER_TYPES if self.chance(10) else self.GOOD_TYPES)
        self.say("setiommu", name, wanted)
        if self.is_attached(name) and not self.type and wanted in self.GOOD_TYPES:
            self.type = wanted
            self.on_set_iommu()

    def release(self):
        self.attached = self.type = None
        self.on_release()

    def unset_container(self):
        group = self.any_of("group", "container")
        if not group:
            return
        self.say("unsetcontainer", group)
        if group in self.descriptors.names("group") and not self.descriptors.names("device"):
            self.release()

    def get_device(self):
        group = self.any_of("group", "container")
        name = self.descriptors.unused(("d", "d2"))
        if not group or not name:
            return
        if self.chance(5):
            self.say("getdev", group, "x", "0000:ff:00.0")
            return
        self.say("getdev", group, name)
        self.descriptors.open(name, "device" if self.type else "none")
        if not self.type or group not in self.descriptors.names("group"):
            self.descriptors.close(name)

    def ask_device(self):
        name = self.any_of("device", "group")
        if name:
            calls = (f"devinfo {name}", f"region {name} 7", f"irq {name} 1", f"cfg {name} 0")
            self.say(self.rng.choice(calls))

    def status(self):
        group = self.any_of("group", "container")
        if group:
            self.say("gstatus", group)

    def extension(self):
        name = self.any_of("container", "group")
        if name:
            self.say(*self.rng.choice((("ext", name, self.rng.randint(1, 11)), ("api", name))))

    def duplicate(self):
        copies = {"c": "c3", "g": "g3", "d": "d3"}
        name = self.rng.choice(sorted(copies))
        if name in self.descriptors.files and copies[name] not in self.descriptors.files:
            self.descriptors.duplicate(name, copies[name])
            self.say("dup", name, copies[name])

    def close(self):
        if not self.descriptors.files:
            return
        name = self.rng.choice(sorted(self.descriptors.files))
        self.say("close", name)
        self.descriptors.close(name)
        if self.attached and not self.group_is_open():
            self.release()

    def fork(self):
        """Some calls in a child, which shares the descriptors and has memory of its own."""
        calls = self.forked_calls()
        if not self.type or (self.is_free() and self.chance(80)):
            return
        self.forks += 1
        self.process = self.forks
        self.say("fork")
        for _ in range(self.rng.randint(1, 5)):
            self.write_one(calls)
        self.say("endfork")
        self.process = 0
