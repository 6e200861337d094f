"""Writes random scripts of what type 1 containers can be asked."""

from writing import Writer, number, total

V1, V2 = 1, 3  # VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU
PAGE = 4096
MAP_ARGSZ, UNMAP_ARGSZ, DIRTY_ARGSZ = 32, 24, 8
UNMAP_DIRTY_BITMAP = 1  # wants a structure that vconf does not pass
UNMAP_ALL = 2
VADDR = 4  # of both: changes where a mapping's memory is
DIRTY_START, DIRTY_STOP = 1, 2


class Type1Writer(Writer):
    """Most mappings lie in the first MiB, so that they meet."""

    GOOD_TYPES = (V1, V2)
    OTHER_TYPES = (0, 2, 7, 8, 99)

    def __init__(self, rng):
        super().__init__(rng)
        self.mappings = []  # (IOVA, size) of what was likely mapped

    def on_release(self):
        self.mappings = []

    def own_calls(self):
        return self.forked_calls() | {self.raw: 2}

    def forked_calls(self):
        return {
            self.map: 20,
            self.unmap: 12,
            self.info: 3,
            self.dirty: 2,
            self.dirty_bitmap: 5,
        }

    def argsz(self, right):
        return right if self.chance(94) else self.rng.choice((0, right - 1, right + 8, 4096))

    def address(self):
        if self.chance(6):
            around = (0xFEE00000, 1 << 32, (1 << 39) - (64 << 10), 1 << 39, (1 << 64) - (64 << 10))
            return self.rng.choice(around) - self.rng.choice((0, PAGE))
        iova = self.rng.randrange(0, 1 << 20, 16 << 10)
        return iova + (self.rng.choice((1, 512, PAGE, 3 * PAGE)) if self.chance(8) else 0)

    def length(self):
        if self.chance(5):
            return self.rng.choice((0, 1, PAGE + 1, 1 << 63, (1 << 64) - PAGE))
        return self.rng.choice((PAGE, PAGE, 16 << 10, 16 << 10, 64 << 10, 256 << 10))

    def place(self):
        """An IOVA and a size, mostly of a mapping."""
        if self.mappings and self.chance(65):
            return self.rng.choice(self.mappings)
        return self.address(), self.length()

    def map(self):
        name = self.container()
        if not name:
            return
        memory = self.rng.choice(sorted(self.memory))
        iova, size = self.address(), self.length()
        # What a mapping that goes on behind the variable's memory meets first is nobody's.
        offset = self.rng.randrange(0, self.memory[memory], PAGE) if self.chance(40) else 0
        flags = self.rng.choice((3, 3, 3, 3, 3, 1, 1, 2))
        if self.chance(6):
            flags = self.rng.choice((0, 8, VADDR, VADDR | 3))
            iova, size = self.place()
        if self.chance(3):
            offset += 1
        self.say(
            *("map", name, self.argsz(MAP_ARGSZ), flags, total(f"${memory}", offset)),
            *(number(iova), number(size)),
        )
        if self.is_attached(name) and flags in (1, 2, 3):
            self.mappings.append((iova, size))

    def unmap(self):
        name = self.container()
        if not name:
            return
        iova, size = self.place()
        flags = 0
        if self.chance(8):
            flags = self.rng.choice((UNMAP_DIRTY_BITMAP, VADDR, VADDR, UNMAP_ALL | VADDR, 8))
        elif self.chance(6):
            flags, iova, size = UNMAP_ALL, 0, 0
        if self.chance(15):
            iova, size = self.rng.choice(((0, 1 << 20), (0, 1 << 40), (1 << 63, 1 << 63), (0, 0)))
        argsz = UNMAP_ARGSZ if flags == UNMAP_DIRTY_BITMAP else self.argsz(UNMAP_ARGSZ)
        self.say("unmap", name, argsz, flags, number(iova), number(size))
        self.mappings = [each for each in self.mappings if each != (iova, size)]

    def info(self):
        name = self.container()
        if name:
            argsz = self.rng.choice((0, 15, 16, 24, 32, 119, 120, 121, 4096, 4096))
            self.say("t1info", name, argsz)

    def dirty(self):
        name = self.container()
        if name:
            flags = self.rng.choice((DIRTY_START, DIRTY_START, DIRTY_STOP, 0, 3, 8))
            self.say("dirty", name, self.argsz(DIRTY_ARGSZ), flags)

    def dirty_bitmap(self):
        name = self.container()
        if not name:
            return
        if self.chance(25):
            self.say("dirty", name, DIRTY_ARGSZ, DIRTY_START)
        iova, size = self.place()
        if size > 1 << 30:
            return
        page = PAGE if self.chance(90) else self.rng.choice((0, 1 << 16, 1 << 21))
        self.say("dirtyget", name, number(iova), number(size), number(page))

    def raw(self):
        """A number without a structure."""
        name = self.container()
        if name:
            self.say("raw", name, self.rng.randrange(3, 24), 0)
