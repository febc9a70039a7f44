package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// inspectLog looks whether a database can be opened with the log that is beside it, if
// there is one. It returns what is wrong, or "", and what to do. A log that another process
// writes to may look like that for a moment, never twice in the same way.
func inspectLog(database string, h fileHeader) (found, advice string, err error) {
	look := func() (string, string, error) {
		l, err := readLog(database, h.pageSize())
		if errors.Is(err, fs.ErrNotExist) {
			return "", "", nil
		}
		if err != nil {
			return "", "", err
		}
		if l.broken != "" {
			return l.broken + " of its log is damaged, and there are commits behind it", adviceCorrupt, nil
		}
		found, err := l.foreign(database, h)
		return found, adviceForeign, err
	}
	first, advice, err := look()
	if err != nil || first == "" {
		return "", "", err
	}
	again, _, err := look()
	if err != nil || again != first {
		return "", "", err
	}
	return first, advice, nil
}

// foreign returns how a database shows that the log beside it is not its own, or "". SQLite
// takes any log for that of the file beside it, as of a file that was restored from a backup. It
// can't be told from a log alone whose it is, so this finds what can't be, no more.
func (l *log) foreign(database string, h fileHeader) (string, error) {
	if l.pageSize != 0 && l.pageSize != h.pageSize() {
		return fmt.Sprintf("it has pages of %d bytes, and the log beside it has pages of %d", h.pageSize(), l.pageSize), nil
	}
	if l.pages == 0 {
		return "", nil
	}
	if !h.hasLog() {
		return "it was written without a log, and one with commits is beside it", nil
	}
	info, err := os.Stat(database)
	if err != nil {
		return "", err
	}
	// The page with the bytes that SQLite locks is never written.
	locks := int64(1<<30/h.pageSize() + 1)
	has := info.Size() / int64(h.pageSize())
	for page := has + 1; page <= l.pages; page++ {
		if _, ok := l.changed[uint32(page)]; !ok && page != locks {
			return fmt.Sprintf("it has %d pages, and the log beside it is that of a file with %d", has, l.pages), nil
		}
	}
	return "", nil
}

// log is one that is read from its beginning.
type log struct {
	r      *bufio.Reader
	header [logHeader]byte
	frame  []byte
	salts  [8]byte // of the frames that belong to it
	sum    checksum

	pageSize int                 // as a valid header says; 0: it has none
	broken   string              // what is damaged though commits follow behind it
	pages    int64               // of the database after the last commit; 0: there is none
	changed  map[uint32]struct{} // pages, by commits
	pending  []uint32            // pages, by what is not committed
}

// readLog reads the log of a database.
func readLog(database string, page int) (*log, error) {
	f, err := os.Open(database + "-wal")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	l := &log{r: bufio.NewReaderSize(f, 1<<20), frame: make([]byte, frameHeader+page), changed: map[uint32]struct{}{}}
	if _, err := io.ReadFull(l.r, l.header[:]); err != nil {
		return l, unlessShort(err)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		l.sum = checksum{order: order}
		if l.sum.add(l.header[:24]); l.sum.is(l.header[24:]) {
			copy(l.salts[:], l.header[16:24])
			if l.pageSize = int(binary.BigEndian.Uint32(l.header[8:])); l.pageSize != page {
				return l, nil
			}
			n, err := l.commitsBehind(0, 2)
			if n > 0 {
				l.broken = fmt.Sprintf("frame %d", n)
			}
			return l, err
		}
	}
	return l, l.withoutHeader()
}

// withoutHeader looks at what is behind a header that is not valid: SQLite takes no
// notice of such a log. That is right if the header was being written when a crash came,
// to start the log over: all that is in it is in the file then, and what is left of the old
// header is that of one with a lower number.
func (l *log) withoutHeader() error {
	if _, err := io.ReadFull(l.r, l.frame); err != nil {
		return unlessShort(err)
	}
	copy(l.salts[:], l.frame[8:16])
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		old := l.header
		binary.BigEndian.PutUint32(old[12:], binary.BigEndian.Uint32(old[12:])-1)
		copy(old[16:24], l.salts[:])
		sum := checksum{order: order}
		if sum.add(old[:24]); sum.is(old[24:]) {
			return nil
		}
	}
	// Which order it was is not known any more. The machine's is the one that is written.
	l.sum = checksum{order: machineOrder()}
	l.sum.set(l.frame[16:24])
	n, err := l.commitsBehind(1, 1)
	if n > 0 {
		l.broken = "the header"
	}
	return err
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
			// What follows is compared with what this frame says that it is.
			l.sum.set(l.frame[16:24])
			commits = 0
			continue
		}
		pages := binary.BigEndian.Uint32(l.frame[4:]) // of the database, if this frame ends a commit
		if broken == 0 {
			l.note(binary.BigEndian.Uint32(l.frame), pages)
		} else if pages > 0 {
			if commits++; commits == enough {
				return broken, nil
			}
		}
	}
}

// note notes that a valid frame has a page.
func (l *log) note(page, pages uint32) {
	l.pending = append(l.pending, page)
	if pages == 0 {
		return
	}
	for _, page := range l.pending {
		l.changed[page] = struct{}{}
	}
	l.pending, l.pages = l.pending[:0], int64(pages)
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
