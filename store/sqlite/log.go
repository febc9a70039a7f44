package sqlite

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// SQLite takes the first frame of the log whose checksum is wrong for the end of it: so
// looks a commit that a crash has cut off. If it is a commit that was on disk long since,
// it and all that came after it would be lost without a word. The two can be told apart:
// behind a commit that was cut off there is nothing, or what is left of others that have
// failed at the same place; a second commit was only ever begun behind one that had
// succeeded. Nothing tells a damaged last commit from one that was cut off.

const (
	logHeader   = 32
	frameHeader = 24
)

// inspectLog looks for damage in the log of a database that has commits behind it. It
// returns what it has found, or "". A log that another process writes to may look like
// that for a moment, never twice at the same place.
func inspectLog(database string) (string, error) {
	first, err := brokenLog(database)
	if err != nil || first == "" {
		return "", err
	}
	again, err := brokenLog(database)
	if err != nil || again != first {
		return "", err
	}
	return first + " of its log is damaged, and there are commits behind it", nil
}

// brokenLog returns what of a log is damaged though commits follow behind it, or "".
func brokenLog(database string) (string, error) {
	f, err := os.Open(database + "-wal")
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	l := &log{r: bufio.NewReaderSize(f, 1<<20)}
	if _, err := io.ReadFull(l.r, l.header[:]); err != nil {
		return "", unlessShort(err)
	}
	page, err := pageSize(database)
	if err != nil {
		return "", err
	}
	l.frame = make([]byte, frameHeader+page)
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		l.sum = checksum{order: order}
		if l.sum.add(l.header[:24]); l.sum.is(l.header[24:]) {
			copy(l.salts[:], l.header[16:24])
			n, err := l.commitsBehind(0, 2)
			if err != nil || n == 0 {
				return "", err
			}
			return fmt.Sprintf("frame %d", n), nil
		}
	}
	return l.withoutHeader()
}

// log is one that is read from its beginning.
type log struct {
	r      *bufio.Reader
	header [logHeader]byte
	frame  []byte
	salts  [8]byte // of the frames that belong to it
	sum    checksum
}

// withoutHeader looks at what is behind a header that is not valid: SQLite takes no
// notice of such a log. That is right if the header was being written when a crash came,
// to start the log over: all that is in it is in the file then, and what is left of the old
// header is that of one with a lower number.
func (l *log) withoutHeader() (string, error) {
	if _, err := io.ReadFull(l.r, l.frame); err != nil {
		return "", unlessShort(err)
	}
	copy(l.salts[:], l.frame[8:16])
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		old := l.header
		binary.BigEndian.PutUint32(old[12:], binary.BigEndian.Uint32(old[12:])-1)
		copy(old[16:24], l.salts[:])
		sum := checksum{order: order}
		if sum.add(old[:24]); sum.is(old[24:]) {
			return "", nil
		}
	}
	// Which order it was is not known any more. The machine's is the one that is written.
	l.sum = checksum{order: machineOrder()}
	l.sum.set(l.frame[16:24])
	if n, err := l.commitsBehind(1, 1); err != nil || n == 0 {
		return "", err
	}
	return "the header", nil
}

// machineOrder is the byte order in which SQLite adds up what it writes here.
func machineOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// commitsBehind reads the frames behind those that were read. If it comes upon one that is
// damaged, with so many commits behind it that follow on each other, it returns its number,
// counted from 1.
func (l *log) commitsBehind(read, enough int) (broken int, err error) {
	commits := 0
	broken = read // the header is, if it was not valid
	for n := read + 1; ; n++ {
		if _, err := io.ReadFull(l.r, l.frame); err != nil {
			return 0, unlessShort(err)
		}
		l.sum.add(l.frame[:8])
		l.sum.add(l.frame[frameHeader:])
		if !l.sum.is(l.frame[16:24]) || string(l.frame[8:16]) != string(l.salts[:]) {
			if broken == 0 {
				broken = n
			}
			// What follows is held against what this frame says that it is.
			l.sum.set(l.frame[16:24])
			commits = 0
			continue
		}
		if broken > 0 && binary.BigEndian.Uint32(l.frame[4:]) > 0 {
			if commits++; commits == enough {
				return broken, nil
			}
		}
	}
}

// pageSize is that of a database, as its header says, or what it would be.
func pageSize(database string) (int, error) {
	f, err := os.Open(database)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	var h [18]byte
	if _, err := io.ReadFull(f, h[:]); err != nil {
		return 4096, unlessShort(err)
	}
	page := int(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	if page < 512 || page&(page-1) != 0 {
		page = 4096
	}
	return page, nil
}

// unlessShort returns nil at the end of a file.
func unlessShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // io.ReadFull wraps neither
		return nil
	}
	return err
}

// checksum is that of the log: of all from its beginning to a frame.
type checksum struct {
	order binary.ByteOrder
	a, b  uint32
}

func (c *checksum) add(data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		c.a += c.order.Uint32(data) + c.b
		c.b += c.order.Uint32(data[4:]) + c.a
	}
}

func (c *checksum) set(stored []byte) {
	c.a, c.b = binary.BigEndian.Uint32(stored), binary.BigEndian.Uint32(stored[4:])
}

func (c *checksum) is(stored []byte) bool {
	return c.a == binary.BigEndian.Uint32(stored) && c.b == binary.BigEndian.Uint32(stored[4:])
}
