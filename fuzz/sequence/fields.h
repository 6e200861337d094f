// The fields of a step's bytes: each is decoded by itself, so that it can be encoded by trying all.
#ifndef FUZZ_SEQUENCE_FIELDS_H_
#define FUZZ_SEQUENCE_FIELDS_H_

#include <cstdint>
#include <span>

#include "fuzz/sequence/step.h"

namespace fuzz::sequence {

// The calls that inputs of a kind are made of, the frequent ones several times.
std::span<const Op> OpsOf(Kind kind);

// An IOVA: on a grid of pages from 0 on mostly; at, before and behind what is special to the kind.
uint64_t DecodeIova(Kind kind, uint16_t field);

// A number of bytes: a few pages mostly, of 4 KiB or of others.
uint64_t DecodeSize(Kind kind, uint16_t field);

// An address of a program's memory.
Pointer DecodePointer(uint8_t field);

// The argsz and the flags of `op`, mostly what the call wants.
uint32_t DecodeArgsz(Op op, uint8_t field);
uint32_t DecodeFlags(Op op, uint8_t field);

// The descriptor that `op` is called on, from the lower four bits, and the other one, if it has
// one, from the upper four.
Slot DecodeFd(Op op, uint8_t field);
Slot DecodeOther(Op op, uint8_t field);

// The first and the last of the values of those calls that have neither IOVA nor size there.
bool HasIova(Op op);
uint64_t DecodeFirst(Kind kind, Op op, uint8_t field);
uint64_t DecodeLast(Op op, uint8_t field);

// What is wrong with the bitmap, if the call has one.
BitmapFault DecodeFault(uint8_t field);

// The argsz that `op` wants, 0 if its structure has none.
uint32_t ArgszOf(Op op);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_FIELDS_H_
