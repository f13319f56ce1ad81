package eventlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The layout of the write-ahead log (https://www.sqlite.org/fileformat.html#walformat) and of its index in shared memory
// (https://www.sqlite.org/walformat.html#the_wal_index_file_format).
const (
	walMagic       = 0x377f0682 // the lowest bit set: sums are over big-endian words
	walHeaderSize  = 32
	walFrameHeader = 24
	shmHeaderSize  = 48
	shmVersion     = 3007000
)

// checkWAL looks at the write-ahead log that an earlier process left behind, before SQLite does: SQLite takes the first
// frame that is not whole for the end, be it the last transaction that a crash cut short or the middle of what was
// confirmed, and silently forgets what lies behind. It also takes the log of another database for its own.
func checkWAL(database string, mark uint32) (leftover, error) {
	confirmed, err := readConfirmed(database + shmSuffix)
	if err != nil {
		return leftover{}, err
	}
	file, err := os.Open(database + walSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return leftover{}, err
	}
	w := &walScan{mark: mark}
	size := int64(0)
	if err == nil {
		defer func() { _ = file.Close() }() // only read
		info, err := file.Stat()
		if err != nil {
			return leftover{}, err
		}
		size = info.Size()
		if err := w.scan(bufio.NewReaderSize(file, 1<<20), size); err != nil {
			return leftover{}, err
		}
	}
	if confirmed.salts == w.salts || size < walHeaderSize {
		if w.committed < confirmed.frames && confirmed.folded < confirmed.frames {
			return leftover{}, fmt.Errorf("%w: its write-ahead log holds %d pages of the %d that were confirmed", ErrDamaged, w.committed, confirmed.frames)
		}
	}
	return leftover{exists: file != nil, used: walHeaderSize + int64(w.committed)*int64(walFrameHeader+w.pageSize)}, nil
}

// leftover is the write-ahead log of a process that did not close its store.
type leftover struct {
	exists bool
	used   int64 // bytes up to the end of the last whole transaction
}

// walScan walks through a write-ahead log.
type walScan struct {
	mark      uint32 // what page 1 must say in user_version
	salts     [8]byte
	order     binary.ByteOrder
	pageSize  uint32
	committed uint32 // frames up to the last whole transaction
}

type walSum [2]uint32

func (s walSum) add(order binary.ByteOrder, data []byte) walSum {
	for ; len(data) >= 8; data = data[8:] {
		s[0] += order.Uint32(data) + s[1]
		s[1] += order.Uint32(data[4:]) + s[0]
	}
	return s
}

func sumAt(data []byte) walSum {
	return walSum{binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])}
}

// scan reads the log to its end. What is written behind a transaction was written after that transaction was confirmed:
// frames that follow on from a committed one, behind a frame that is not whole, are proof of damage.
func (w *walScan) scan(log io.Reader, size int64) error {
	if size < walHeaderSize {
		return nil // nothing is written behind the header before the header is on the disk
	}
	header := make([]byte, walHeaderSize)
	if _, err := io.ReadFull(log, header); err != nil {
		return err
	}
	magic := binary.BigEndian.Uint32(header)
	w.order = binary.ByteOrder(binary.LittleEndian)
	if magic&1 == 1 {
		w.order = binary.BigEndian
	}
	sum := walSum{}.add(w.order, header[:24])
	w.pageSize = binary.BigEndian.Uint32(header[8:])
	if magic&^1 != walMagic || sum != sumAt(header[24:]) || w.pageSize < 512 || w.pageSize > 1<<16 {
		return fmt.Errorf("%w: its write-ahead log has no valid header", ErrDamaged)
	}
	copy(w.salts[:], header[16:24])

	frame := make([]byte, walFrameHeader+w.pageSize)
	whole, commits := true, false // so far; whether the frame before ended a transaction
	for n := uint32(1); ; n++ {
		if _, err := io.ReadFull(log, frame); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
		stored := sumAt(frame[16:])
		follows := [8]byte(frame[8:16]) == w.salts && sum.add(w.order, frame[:8]).add(w.order, frame[walFrameHeader:]) == stored
		whole = whole && follows
		switch {
		case whole:
			if err := w.page(n, frame); err != nil {
				return err
			}
		case follows && commits:
			return fmt.Errorf("%w: its write-ahead log is whole up to page %d and goes on behind it", ErrDamaged, w.committed)
		}
		sum, commits = stored, binary.BigEndian.Uint32(frame[4:]) != 0
	}
}

// page takes note of a frame that is whole.
func (w *walScan) page(n uint32, frame []byte) error {
	if binary.BigEndian.Uint32(frame[4:]) != 0 {
		w.committed = n
	}
	page := frame[walFrameHeader:]
	if binary.BigEndian.Uint32(frame) == 1 && binary.BigEndian.Uint32(page[offsetUserVersion:]) != w.mark {
		return fmt.Errorf("%w: its write-ahead log belongs to another store", ErrDamaged)
	}
	return nil
}

// confirmedFrames is what the index of the write-ahead log says was confirmed.
type confirmedFrames struct {
	salts          [8]byte
	frames, folded uint32
}

// readConfirmed reads the index that a killed process left behind. It is only ever behind the log: SQLite writes to it
// when the log is on the disk. A file that makes no sense says nothing.
func readConfirmed(path string) (confirmed confirmedFrames, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return confirmed, nil
	}
	if err != nil {
		return confirmed, err
	}
	defer func() { _ = file.Close() }() // only read
	header := make([]byte, 2*shmHeaderSize+4)
	if _, err := io.ReadFull(file, header); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return confirmed, nil
	} else if err != nil {
		return confirmed, err
	}
	first, second := header[:shmHeaderSize], header[shmHeaderSize:2*shmHeaderSize]
	native := binary.NativeEndian
	sum := walSum{native.Uint32(first[40:]), native.Uint32(first[44:])}
	if string(first) != string(second) || native.Uint32(first) != shmVersion || (walSum{}).add(native, first[:40]) != sum {
		return confirmed, nil
	}
	copy(confirmed.salts[:], first[32:40])
	confirmed.frames, confirmed.folded = native.Uint32(first[16:]), native.Uint32(header[2*shmHeaderSize:])
	return confirmed, nil
}
