"""Writes random scripts of what SPAPR TCE containers can be asked."""

from spapr_windows import STARTS, Windows
from writing import Writer, number, total

V1, V2 = 2, 7  # VFIO_SPAPR_TCE_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU
PAGE = 4096
# Stands behind a map whose pages may be larger than those of the memory, and right apart from that.
LARGE_PAGES = "# large pages"
MAP_ARGSZ, UNMAP_ARGSZ, REGISTER_ARGSZ, CREATE_ARGSZ, REMOVE_ARGSZ = 32, 24, 24, 40, 16


class SpaprWriter(Writer):
    """In the script, the memory $h may be behind large pages."""

    GOOD_TYPES = (V1, V2, V2, V2)
    OTHER_TYPES = (0, 1, 3, 8, 99)

    def __init__(self, rng):
        super().__init__(rng)
        self.windows = Windows()
        self.owner = None  # the only process that the container obeys
        self.registered = []  # (memory, offset, size) of what was likely registered
        self.kept = set()  # memory that has to stay as it is registered

    def on_set_iommu(self):
        """Mostly goes on to where the container can be used."""
        self.on_release()
        if self.chance(15):
            return
        if self.type == V1:
            self.enable()
            return
        for memory in self.rng.sample(sorted(self.memory), self.rng.randint(1, 3)):
            self.write_registration("reg", memory, 0, self.memory[memory])

    def on_release(self):
        self.windows = Windows()
        self.owner = None
        self.registered = []
        self.kept = set()

    def write_memory(self):
        super().write_memory()
        self.say("anon", "h", "4M", "2M")
        self.memory["h"] = 4 << 20

    def own_calls(self):
        return self.forked_calls() | {
            self.eeh: 2,
            self.raw_container: 2,
            self.raw_other: 1,
            self.enable: 4 if self.type == V1 else 1,
            self.disable: 1,
        }

    def forked_calls(self):
        windows = 1 if self.type == V1 else 7
        return {
            self.map: 25,
            self.unmap: 14,
            self.register: 2 if self.type == V1 else 10,
            self.unregister: 1 if self.type == V1 else 5,
            self.create: windows,
            self.remove: windows / 2,
            self.tce_info: 3,
        }

    def is_free(self):
        return self.owner is None

    def obeys(self, name, takes=True):
        """Whether the container does what this process says; if `takes`, to no other from then."""
        if not self.is_attached(name) or not self.type:
            return False
        if self.owner is None and takes:
            self.owner = self.process
        return self.owner is None or self.owner == self.process

    def argsz(self, right):
        return right if self.chance(92) else self.rng.choice((0, right - 1, right + 8, 4096))

    def flags(self, right=0):
        return right if self.chance(95) else self.rng.choice((1, 2, 4, 8, 0x80000000))

    def pages(self, size, shift):
        """A page's offset in `size` bytes, mostly one of the first."""
        count = max(size >> shift, 1)
        last = count - 1
        choice = self.rng.choice((0, 1, 2, 3, 4, 8, 15, 16, last, self.rng.randrange(count)))
        return min(choice, last) << shift

    def somewhere(self):
        """An IOVA, mostly in a window, and the shift of its pages."""
        windows = self.windows.known()
        if not windows or self.chance(6):
            around = (*STARTS, 2 << 30, 1 << 40, (1 << 59) + (1 << 40), (1 << 64) - PAGE)
            iova = self.rng.choice(around) + self.rng.choice((0, PAGE, 1 << 16))
            return iova % (1 << 64), 12
        window = self.rng.choice(windows)
        iova = window.start + self.pages(window.end - window.start, window.shift)
        if self.chance(5):
            iova += self.rng.choice((1, 512, PAGE - 1, PAGE))
        return iova, window.shift

    def length(self, shift):
        if self.chance(5):
            return self.rng.choice((0, 1, (1 << shift) + 1, PAGE))
        return self.rng.choice((1, 1, 1, 2, 3, 4, 8, 16)) << shift

    def is_large(self, iova):
        """Whether a window may be there whose pages are larger than the kernel's own."""
        known = self.windows.known()
        return any(each.start <= iova < each.end and each.shift > 12 for each in known)

    def map(self):
        name = self.container()
        if not name:
            return
        memory, start, length = self.some_memory()
        iova, shift = self.somewhere()
        size = self.length(shift)
        offset = start + self.pages(length, shift)
        if self.chance(4):
            offset += self.rng.choice((1, PAGE, self.memory[memory]))
        # There is a page behind a variable's memory that is nobody's; what follows is not known.
        offset = min(offset, self.memory[memory])
        if not self.windows.is_inside(iova, size):
            return
        argsz, flags = self.argsz(MAP_ARGSZ), self.flags(self.rng.choice((3, 3, 3, 1, 2, 0)))
        call = ["map", name, argsz, flags, total(f"${memory}", offset), number(iova), number(size)]
        if self.is_large(iova):
            self.kept.add(memory)
            aligned = all(part % (1 << shift) == 0 for part in (iova, offset, size))
            call += [LARGE_PAGES] if aligned else []
        self.say(*call)
        if argsz >= MAP_ARGSZ and flags <= 3 and self.obeys(name, takes=False):
            self.windows.use()

    def unmap(self):
        name = self.container()
        iova, shift = self.somewhere()
        size = self.length(shift) if self.chance(80) else 1 << self.rng.randrange(12, 31)
        if not name or not self.windows.is_inside(iova, size):
            return
        argsz, flags = self.argsz(UNMAP_ARGSZ), self.flags()
        self.say("unmap", name, argsz, flags, number(iova), number(size))
        if argsz >= UNMAP_ARGSZ and flags == 0 and self.obeys(name, takes=False):
            self.windows.use()

    def some_memory(self):
        """A variable and a part of its memory, mostly one that is registered."""
        if self.registered and self.chance(88):
            return self.rng.choice(self.registered)
        memory = self.rng.choice(sorted(self.memory))
        return memory, 0, self.memory[memory]

    def piece(self):
        """A variable and a part of its memory, to be registered: mostly all of it."""
        memory = self.rng.choice(sorted(self.memory))
        size = self.memory[memory]
        if self.chance(50):
            return memory, 0, size
        offset = self.pages(size, 12)
        length = self.rng.choice((PAGE, size // 2, size, size - offset, 0))
        if self.chance(6):
            return memory, offset + 1, length
        return memory, offset, length + (1 if self.chance(6) else 0)

    def register(self):
        again = self.registered and self.chance(15)
        self.write_registration("reg", *(self.some_memory() if again else self.piece()))

    def unregister(self):
        known = self.chance(75)
        self.write_registration("unreg", *(self.some_memory() if known else self.piece()))

    def write_registration(self, call, memory, offset, size):
        name = self.container()
        if not name or memory in self.kept:
            return
        argsz, flags = self.argsz(REGISTER_ARGSZ), self.flags()
        self.say(call, name, argsz, flags, total(f"${memory}", offset), number(size))
        if self.type != V2 or not self.is_attached(name):
            return
        if self.obeys(name, takes=call == "reg") and call == "reg":
            self.windows.enable(certain=False)
            self.registered.append((memory, offset, size))

    def create(self):
        name = self.container()
        if not name:
            return
        shift = self.rng.choice((12, 12, 16, 16, 21, 30)) if self.chance(92) else 13
        size = 1 << self.rng.randint(max(shift - 1, 12), 40)
        if self.chance(6):
            size = self.rng.choice((0, 3 * size, size + 1))
        levels = self.rng.choice((1, 1, 1, 2, 2, 3, 4, 5)) if self.chance(95) else 0
        argsz, flags = self.argsz(CREATE_ARGSZ), self.flags()
        self.say("create", name, argsz, flags, shift, number(size), levels)
        if self.type == V2 and self.obeys(name) and argsz >= CREATE_ARGSZ and flags == 0:
            self.windows.create(shift, size, levels)

    def remove(self):
        name = self.container()
        if not name:
            return
        address = self.rng.choice((*STARTS, STARTS[1] + (1 << 16), 1 << 16, 1 << 50))
        argsz, flags = self.argsz(REMOVE_ARGSZ), self.flags()
        self.say("remove", name, argsz, flags, number(address))
        if self.type == V2 and self.obeys(name) and argsz >= REMOVE_ARGSZ and flags == 0:
            self.windows.remove(address)

    def tce_info(self):
        name = self.container()
        if name:
            self.say("tceinfo", name, self.rng.choice((32, 32, 32, 0, 15, 16, 20, 31, 33, 4096)))

    def enable(self):
        name = self.container()
        if not name:
            return
        self.say("enable", name)
        if self.type == V1 and self.obeys(name):
            self.windows.enable()

    def disable(self):
        name = self.container()
        if not name:
            return
        self.say("disable", name)
        if self.type == V1 and self.obeys(name, takes=False):
            self.windows.disable()

    def eeh(self):
        """Without resets: a device that is not open is lost to one, and QEMU's never stops."""
        name = self.container()
        if name:
            operation = self.rng.choice((0, 1, 2, 3, 4, 4, 4, 8, 10, 99))
            self.say("eeh", name, self.argsz(12), self.flags(), operation)

    def raw_container(self):
        """A number without a structure. Those of ENABLE and DISABLE are left to these."""
        name = self.container()
        if not name:
            return
        raw = self.rng.choice([each for each in range(3, 24) if each not in (15, 16)])
        self.say("raw", name, raw, 0)
        if self.type == V2 and raw in (17, 19, 20):
            self.obeys(name)

    def raw_other(self):
        kind, numbers = self.rng.choice((
            ("group", (0, 3, 4, 6, 7, 12, 13, 17, 18)),
            ("device", (0, 3, 7, 12, 13, 17, 18, 19, 20, 21)),
        ))
        names = self.descriptors.names(kind)
        if names:
            self.say("raw", self.rng.choice(names), self.rng.choice(numbers), 0)
