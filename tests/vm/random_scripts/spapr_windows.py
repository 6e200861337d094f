"""What may be known of a SPAPR TCE container's windows while a script is being written.

The real kernel does not check that a map or unmap ends in the window in which it starts, and writes
past the table. So whoever writes a script has to know which windows there can be. Not every call's
answer is certain (a table may be too large for the memory): then all that may be is kept.
Source of the behaviour: drivers/vfio/vfio_iommu_spapr_tce.c and
arch/powerpc/platforms/powernv/pci-ioda*.c.
"""

import typing

PAGE_SHIFTS = (12, 16, 21, 30)
LEVELS = 5
STARTS = (0, 1 << 59)  # of the first and of the second window
SMALLEST_TABLE = 512  # entries
# A level of a table with more bytes than these may be more than the machine has in one piece.
SURE_LEVEL_SHIFT = 19


class Window(typing.NamedTuple):
    start: int
    shift: int  # of its pages
    end: int  # of its table, which is behind the window's end if the window is small


def window(slot, shift, size):
    pages = max(size >> shift, SMALLEST_TABLE)
    return Window(STARTS[slot], shift, STARTS[slot] + (pages << shift))


DEFAULT = window(0, 12, 2 << 30)


def can_create(shift, size, levels):
    """Whether there can be such a window; None if that is not certain."""
    if shift not in PAGE_SHIFTS or size <= 0 or size & (size - 1) or not 0 < levels <= LEVELS:
        return False
    entries_shift = size.bit_length() - 1 - shift
    if entries_shift < 0:
        return None
    level_shift = max(-(-entries_shift // levels) + 3, 12)
    if (level_shift - 3) * levels + shift >= 55:
        return False
    return True if level_shift <= SURE_LEVEL_SHIFT else None


class State(typing.NamedTuple):
    """One of the states that a container may be in."""

    enabled: bool = False
    pending: bool = True  # the default window comes with the first call that needs it
    slots: tuple = (None, None)

    def with_default(self):
        return self._replace(pending=False, slots=(DEFAULT, None)) if self.pending else self

    def with_window(self, shift, size):
        if None not in self.slots:
            return self
        slot = self.slots.index(None)
        slots = list(self.slots)
        slots[slot] = window(slot, shift, size)
        return self._replace(slots=tuple(slots))

    def without_window(self, address):
        if self.pending and address == 0:
            return self._replace(pending=False)
        slots = list(self.slots)
        for slot, there in enumerate(slots):
            if there and there.start <= address < there.end:
                slots[slot] = None
                break
        return self._replace(slots=tuple(slots))


class Windows:
    """The states that a container may be in, from SET_IOMMU on."""

    def __init__(self):
        self.states = {State()}

    def enable(self, certain=True):
        enabled = {state._replace(enabled=True) for state in self.states}
        self.states = enabled if certain else self.states | enabled

    def disable(self):
        self.states = {state._replace(enabled=False) for state in self.states}

    def use(self):
        """A map or unmap with good arguments."""
        self.states = {state.with_default() if state.enabled else state for state in self.states}

    def create(self, shift, size, levels):
        before = {state.with_default() for state in self.states}
        answer = can_create(shift, size, levels)
        after = {state.with_window(shift, size) for state in before}
        self.states = {True: after, False: before, None: before | after}[answer]

    def remove(self, address):
        self.states = {state.without_window(address) for state in self.states}

    def known(self):
        """All windows that there may be now or after the next call, in order."""
        windows = {each for state in self.states for each in state.with_default().slots if each}
        return sorted(windows)

    def is_inside(self, iova, size):
        """Whether no window that there may be has the first address and not all of the others."""
        return all(
            not each.start <= iova < each.end or iova + size <= each.end for each in self.known()
        )
