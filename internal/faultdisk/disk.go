package faultdisk

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// block is what a disk writes all of or nothing, and what a kernel knows to be dirty.
const block = 4096

// Kind says what an [Op] does.
type Kind string

// What can fail.
const (
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
)

// An Op is about to happen to a file.
type Op struct {
	Kind   Kind
	Path   string
	Offset int64 // of Write; of Truncate, the size that the file gets
	Size   int   // of Write, in bytes
}

// Fault is what becomes of an [Op].
type Fault int

// None lets it happen. Failed is an I/O error: of a sync, after which the kernel has
// forgotten that the pages are dirty, so that a later sync succeeds without writing
// them; of a write, of which the first half is written. NoSpace is a full disk, for
// writes, of which the first half is written too.
const (
	None Fault = iota
	Failed
	NoSpace
)

// Disk is what is below a folder.
type Disk struct {
	dir string

	mu     sync.Mutex
	decide func(Op) Fault
	files  map[string]*image
}

// image is a file as the kernel has it, and as the disk has it.
type image struct {
	now, disk []byte
	dirty     map[int64]bool // blocks to be written by the next sync
}

// Mount has SQLite write to the files of a folder through a disk that fails when it is
// told to. It returns once all of SQLite in this process, whatever its driver, does.
// Databases that are open already are not affected.
func Mount(dir string) (*Disk, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	if err := install(); err != nil {
		return nil, err
	}
	d := &Disk{dir: dir, files: map[string]*image{}}
	mounts.Lock()
	defer mounts.Unlock()
	mounts.disks = append(mounts.disks, d)
	return d, nil
}

// Unmount forgets the disk, once the databases on it are closed.
func (d *Disk) Unmount() {
	mounts.Lock()
	defer mounts.Unlock()
	mounts.disks = slices.DeleteFunc(mounts.disks, func(o *Disk) bool { return o == d })
}

var mounts struct {
	sync.RWMutex
	disks []*Disk
}

// diskOf returns the disk that a file is on, or nil.
func diskOf(path string) *Disk {
	mounts.RLock()
	defer mounts.RUnlock()
	for _, d := range mounts.disks {
		if strings.HasPrefix(path, d.dir+string(filepath.Separator)) {
			return d
		}
	}
	return nil
}

// Inject has f decide what becomes of each operation. It is called by one goroutine at a
// time, and may not call the Disk. nil: nothing fails.
func (d *Disk) Inject(f func(Op) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decide = f
}

// CutPower writes to another folder what would be left of the files if the power went
// now: what was synced, and of what was not those blocks for which keep says so.
func (d *Disk) CutPower(to string, keep func() bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, f := range d.files {
		left := slices.Clone(f.disk)
		for b := range f.dirty {
			if keep() {
				left = overwrite(left, f.now, b)
			}
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), left, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// overwrite copies a block of a file into another.
func overwrite(to, from []byte, b int64) []byte {
	begin, end := b*block, min((b+1)*block, int64(len(from)))
	if begin >= end {
		return to
	}
	to = grow(to, end)
	copy(to[begin:end], from[begin:end])
	return to
}

func grow(b []byte, size int64) []byte {
	if more := size - int64(len(b)); more > 0 {
		b = append(b, make([]byte, more)...)
	}
	return b
}

// open begins to follow a file.
func (d *Disk) open(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[path] != nil {
		return
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return
	}
	d.files[path] = &image{now: data, disk: slices.Clone(data), dirty: map[int64]bool{}}
}

func (d *Disk) remove(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, path)
}

// write passes a write on, as far as it succeeds.
func (d *Disk) write(path string, data []byte, offset int64, pass func(n int) int32) (rc int32, fault Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(data)
	if fault = d.ask(Op{Write, path, offset, n}); fault != None {
		n /= 2
	}
	if n > 0 {
		if rc = pass(n); rc != 0 {
			return rc, None
		}
	}
	if f := d.files[path]; f != nil && n > 0 {
		f.now = grow(f.now, offset+int64(n))
		copy(f.now[offset:], data[:n])
		for b := offset / block; b <= (offset+int64(n)-1)/block; b++ {
			f.dirty[b] = true
		}
	}
	return 0, fault
}

func (d *Disk) truncate(path string, size int64, pass func() int32) (rc int32, fault Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fault = d.ask(Op{Kind: Truncate, Path: path, Offset: size}); fault != None {
		return 0, fault
	}
	if rc = pass(); rc == 0 && d.files[path] != nil {
		f := d.files[path]
		f.now = f.now[:min(size, int64(len(f.now)))]
	}
	return rc, None
}

func (d *Disk) sync(path string, pass func() int32) (rc int32, fault Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fault = d.ask(Op{Kind: Sync, Path: path})
	if fault == None {
		rc = pass()
	}
	if f := d.files[path]; f != nil {
		if fault == None && rc == 0 {
			f.disk = f.disk[:min(len(f.disk), len(f.now))]
			for b := range f.dirty {
				f.disk = overwrite(f.disk, f.now, b)
			}
		}
		clear(f.dirty)
	}
	return rc, fault
}

func (d *Disk) ask(op Op) Fault {
	if d.decide == nil {
		return None
	}
	return d.decide(op)
}
