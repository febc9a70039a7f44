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

// inspectLog looks for a frame that is damaged with commits behind it. It returns what it
// has found, or "". A log that another process writes to may look like that for a moment,
// never twice at the same frame.
func inspectLog(path string) (string, error) {
	first, err := brokenFrame(path)
	if err != nil || first == 0 {
		return "", err
	}
	again, err := brokenFrame(path)
	if err != nil || again != first {
		return "", err
	}
	return fmt.Sprintf("frame %d of its log is damaged, and there are commits behind it", first), nil
}

// brokenFrame returns the number, from 1, of the first frame of a log whose checksum is
// wrong though commits follow on each other behind it, or 0.
func brokenFrame(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, 1<<20)
	var h [logHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, unlessShort(err)
	}
	sum := checksum{order: binary.LittleEndian}
	switch binary.BigEndian.Uint32(h[:]) {
	case 0x377f0682:
	case 0x377f0683:
		sum.order = binary.BigEndian
	default:
		return 0, nil
	}
	page := binary.BigEndian.Uint32(h[8:])
	if sum.add(h[:24]); !sum.is(h[24:]) || page < 512 || page > 65536 {
		return 0, nil // it was being started over: all that was in it is in the file
	}
	frame := make([]byte, frameHeader+page)
	broken, commits := 0, 0
	for n := 1; ; n++ {
		if _, err := io.ReadFull(r, frame); err != nil {
			return 0, unlessShort(err)
		}
		sum.add(frame[:8])
		sum.add(frame[frameHeader:])
		whole := sum.is(frame[16:24]) && string(frame[8:16]) == string(h[16:24])
		if !whole {
			if broken == 0 {
				broken = n
			}
			// What follows is held against what this frame says that it is.
			sum.set(frame[16:24])
			commits = 0
			continue
		}
		if broken > 0 && binary.BigEndian.Uint32(frame[4:]) > 0 {
			if commits++; commits == 2 {
				return broken, nil
			}
		}
	}
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
