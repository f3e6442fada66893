//! The reading end of a BPF ring buffer (kernel v5.8, `457f44363a88`: `kernel/bpf/ringbuf.c`).
//!
//! The kernel lets its data be mapped twice in a row, so that a record which goes on at the beginning lies in one piece.
//! Both count as memory of whoever maps them. Here they are mapped once, and each record is put together word by word.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence},
};

use super::{bpf, map::Mapped};

/// What stands before each record: its length with two flags, and a word that is the kernel's.
const HEADER: usize = 8;
/// Records begin at multiples of this.
const STEP: usize = 8;
const WORD: usize = size_of::<u32>();
/// It is being written; it was given up.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;

/// A ring buffer. There is one reader at a time.
#[derive(Debug)]
pub struct Ring {
    /// How far it was read: written by the reader alone.
    consumed: Mapped<AtomicUsize>,
    /// How far it was filled.
    produced: Mapped<AtomicUsize>,
    data: Mapped<[AtomicU32]>,
    reading: Reading,
}

impl Ring {
    /// Goes on where the last reader stopped.
    pub fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
        let bytes = bpf::map_info(map)?.max_entries as usize;
        // In units of pages: how far it was read, how far it was filled, what it holds.
        let consumed: Mapped<AtomicUsize> = Mapped::new(map)?;
        let reading = Reading { at: consumed.load(Ordering::Acquire), ..Reading::default() };
        Ok(Self { consumed, produced: Mapped::at(map, 1)?, data: Mapped::words(map, 2, bytes)?, reading })
    }

    /// Hands the next record to `take`; `false` when there is none yet. Fails when it holds what no kernel puts there.
    pub fn next(&mut self, take: impl FnOnce(&[u8])) -> io::Result<bool> {
        let Some(record) = self.reading.next(&self.consumed, &self.produced, &self.data)? else {
            return Ok(false);
        };
        take(record);
        self.reading.passed(&self.consumed);
        Ok(true)
    }
}

/// How far a reader is.
#[derive(Debug, Default)]
struct Reading {
    /// Where the next record begins. It only grows; what it is modulo the size is a place.
    at: usize,
    /// Where it ends.
    end: usize,
    /// Whether it went on since it last made sure that the kernel saw it: the kernel wakes only a reader who has read
    /// all that came before.
    moved: bool,
    record: Vec<u8>,
}

impl Reading {
    /// The next record, which stays where it is until it is passed.
    fn next(
        &mut self,
        consumed: &AtomicUsize,
        produced: &AtomicUsize,
        data: &[AtomicU32],
    ) -> io::Result<Option<&[u8]>> {
        loop {
            let header = if self.at == produced.load(Ordering::Acquire) {
                BUSY
            } else {
                word(data, self.at, Ordering::Acquire)?
            };
            if header & BUSY == 0 {
                let length = (header & !DISCARDED) as usize;
                if length > size_of_val(data) - HEADER {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.end = self.at.wrapping_add((HEADER + length).next_multiple_of(STEP));
                if header & DISCARDED == 0 {
                    self.copy(data, length)?;
                    return Ok(Some(&self.record));
                }
                self.passed(consumed);
            } else if self.moved {
                // Either this look sees what was finished meanwhile, or who finishes it sees how far we are and wakes us.
                fence(Ordering::SeqCst);
                self.moved = false;
            } else {
                return Ok(None);
            }
        }
    }

    /// The kernel does not touch a finished record before it is passed.
    fn copy(&mut self, data: &[AtomicU32], length: usize) -> io::Result<()> {
        let start = self.at.wrapping_add(HEADER);
        self.record.clear();
        for offset in (0..length).step_by(WORD) {
            let word = word(data, start.wrapping_add(offset), Ordering::Relaxed)?;
            self.record.extend_from_slice(&word.to_ne_bytes());
        }
        self.record.truncate(length);
        Ok(())
    }

    /// Gives its place back to the kernel.
    fn passed(&mut self, consumed: &AtomicUsize) {
        self.at = self.end;
        consumed.store(self.at, Ordering::Release);
        self.moved = true;
    }
}

fn word(data: &[AtomicU32], at: usize, ordering: Ordering) -> io::Result<u32> {
    let place = (at % size_of_val(data).max(1)) / WORD;
    data.get(place).map(|word| word.load(ordering)).ok_or(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const BYTES: usize = 256;

    /// What the kernel does, in memory of our own.
    #[derive(Default)]
    struct Fake {
        consumed: AtomicUsize,
        produced: AtomicUsize,
        data: Vec<AtomicU32>,
    }

    impl Fake {
        /// Positions begin near the end of what they can be as well.
        fn new(start: usize) -> (Self, Reading) {
            let data = (0..BYTES / WORD).map(|_| AtomicU32::new(0xaaaa_aaaa)).collect();
            let fake = Self { consumed: start.into(), produced: start.into(), data };
            (fake, Reading { at: start, ..Reading::default() })
        }

        fn put(&self, at: usize, word: u32) {
            self.data[at % BYTES / WORD].store(word, Ordering::Release);
        }

        /// Where the header is; `None`: there is no room.
        fn reserve(&self, length: usize) -> Option<usize> {
            let (consumed, at) =
                (self.consumed.load(Ordering::Acquire), self.produced.load(Ordering::Acquire));
            let end = at.wrapping_add((HEADER + length).next_multiple_of(STEP));
            if end.wrapping_sub(consumed) > BYTES {
                return None;
            }
            self.put(at, u32::try_from(length).unwrap() | BUSY);
            self.produced.store(end, Ordering::Release);
            Some(at)
        }

        fn commit(&self, at: usize, record: &[u8], flags: u32) {
            for (index, bytes) in record.chunks(WORD).enumerate() {
                let mut word = [0; WORD];
                word[..bytes.len()].copy_from_slice(bytes);
                self.put(at.wrapping_add(HEADER + index * WORD), u32::from_ne_bytes(word));
            }
            self.put(at, u32::try_from(record.len()).unwrap() | flags);
        }

        fn read(&self, reading: &mut Reading) -> Option<Vec<u8>> {
            let record = reading.next(&self.consumed, &self.produced, &self.data).unwrap()?.to_vec();
            reading.passed(&self.consumed);
            Some(record)
        }
    }

    #[test]
    fn a_record_that_is_being_written_is_waited_for() {
        let (fake, mut reading) = Fake::new(BYTES - 16);
        let (first, second) = (fake.reserve(20).unwrap(), fake.reserve(5).unwrap());
        fake.commit(second, b"later", 0);
        assert_eq!(fake.read(&mut reading), None);
        fake.commit(first, b"across the very end!", 0);
        assert_eq!(fake.read(&mut reading).unwrap(), b"across the very end!");
        assert_eq!(fake.read(&mut reading).unwrap(), b"later");
        assert_eq!(fake.read(&mut reading), None);
    }

    #[test]
    fn what_no_kernel_writes_is_an_error() {
        for length in [BYTES - HEADER + 1, (DISCARDED - 1) as usize] {
            let (fake, mut reading) = Fake::new(8);
            fake.put(8, u32::try_from(length).unwrap());
            fake.produced.store(16, Ordering::Release);
            assert!(reading.next(&fake.consumed, &fake.produced, &fake.data).is_err());
            assert!(reading.next(&fake.consumed, &fake.produced, &[]).is_err());
        }
    }

    proptest! {
        /// Whatever is put in and read in whatever turn: each record that was kept comes out once, in order, as it was.
        #[test]
        fn nothing_is_lost(
            start in prop_oneof![Just(0), Just(usize::MAX - 7), Just(u32::MAX as usize - 7)],
            steps in proptest::collection::vec((0_usize..3, 0..BYTES - HEADER, any::<u8>()), 0..300),
        ) {
            let (fake, mut reading) = Fake::new(start & !(STEP - 1));
            let mut there = VecDeque::new();
            for (step, length, byte) in steps {
                if step == 0 {
                    prop_assert_eq!(fake.read(&mut reading), there.pop_front());
                } else if let Some(at) = fake.reserve(length) {
                    let record = vec![byte; length];
                    fake.commit(at, &record, if step == 1 { 0 } else { DISCARDED });
                    there.extend((step == 1).then_some(record));
                }
            }
            while let Some(record) = there.pop_front() {
                prop_assert_eq!(fake.read(&mut reading), Some(record));
            }
            prop_assert_eq!(fake.read(&mut reading), None);
            prop_assert_eq!(fake.consumed.load(Ordering::Acquire), fake.produced.load(Ordering::Acquire));
        }
    }
}
