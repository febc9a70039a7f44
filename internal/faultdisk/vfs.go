package faultdisk

import (
	"errors"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite's own VFS opens the files; then the methods of each are replaced by a copy in
// which some are ours. All of them are called by SQLite as C calls a function: by the
// address of a Go function's code pointer.

type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	deleteFunc   = func(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
	writeFunc    = func(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// methods are those of a file. They begin as SQLite knows them.
type methods struct {
	sqlite3.Tsqlite3_io_methods
	original uintptr // SQLite's own
}

// opened is a file on a disk.
type opened struct {
	disk *Disk
	path string
}

var shim struct {
	once sync.Once
	err  error
	own  *sqlite3.Tsqlite3_vfs // SQLite's

	mu      sync.Mutex
	methods map[uintptr]uintptr // ours by SQLite's
	files   map[uintptr]opened
}

// install makes ours the VFS of databases that are opened from now on.
func install() error {
	shim.once.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		found := sqlite3.Xsqlite3_vfs_find(tls, 0)
		name, err := libc.CString("faultdisk")
		if found == 0 || err != nil {
			shim.err = errors.Join(errors.New("faultdisk: SQLite has no VFS"), err)
			return
		}
		shim.methods, shim.files = map[uintptr]uintptr{}, map[uintptr]opened{}
		shim.own = at[sqlite3.Tsqlite3_vfs](found)
		vfs, address := allocate[sqlite3.Tsqlite3_vfs](tls)
		*vfs = *shim.own
		vfs.FpNext, vfs.FzName = 0, name
		vfs.FxOpen, vfs.FxDelete = pointer[openFunc](open), pointer[deleteFunc](remove)
		if rc := sqlite3.Xsqlite3_vfs_register(tls, address, 1); rc != sqlite3.SQLITE_OK {
			shim.err = errors.New("faultdisk: SQLite does not take the VFS")
		}
	})
	return shim.err
}

// allocate makes what SQLite keeps a pointer to: outside of Go's heap, and forever.
func allocate[T any](tls *libc.TLS) (*T, uintptr) {
	address := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(*new(T))))
	return at[T](address), address
}

// at is what is at an address outside of Go's heap.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer is how C points to a function that is declared in Go.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// function is the reverse of pointer.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

func open(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := function[openFunc](shim.own.FxOpen)(tls, vfs, name, file, flags, out)
	if rc != sqlite3.SQLITE_OK || name == 0 {
		return rc
	}
	path := libc.GoString(name)
	d := diskOf(path)
	if d == nil {
		return rc
	}
	d.open(path)
	shim.mu.Lock()
	defer shim.mu.Unlock()
	f := at[sqlite3.Tsqlite3_file](file)
	ours := shim.methods[f.FpMethods]
	if ours == 0 {
		var m *methods
		m, ours = allocate[methods](tls)
		*m = methods{*at[sqlite3.Tsqlite3_io_methods](f.FpMethods), f.FpMethods}
		m.FxClose, m.FxWrite = pointer[closeFunc](closed), pointer[writeFunc](write)
		m.FxTruncate, m.FxSync = pointer[truncateFunc](truncate), pointer[syncFunc](flush)
		shim.methods[f.FpMethods] = ours
	}
	f.FpMethods = ours
	shim.files[file] = opened{d, path}
	return rc
}

func remove(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32 {
	rc := function[deleteFunc](shim.own.FxDelete)(tls, vfs, name, syncDir)
	if path := libc.GoString(name); rc == sqlite3.SQLITE_OK {
		if d := diskOf(path); d != nil {
			d.remove(path)
		}
	}
	return rc
}

func closed(tls *libc.TLS, file uintptr) int32 {
	_, own := of(file)
	shim.mu.Lock()
	delete(shim.files, file)
	shim.mu.Unlock()
	return function[closeFunc](own.FxClose)(tls, file)
}

// of returns a file, and SQLite's own methods of it.
func of(file uintptr) (opened, *sqlite3.Tsqlite3_io_methods) {
	m := at[methods](at[sqlite3.Tsqlite3_file](file).FpMethods)
	shim.mu.Lock()
	defer shim.mu.Unlock()
	return shim.files[file], at[sqlite3.Tsqlite3_io_methods](m.original)
}

func write(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	f, own := of(file)
	rc, fault := f.disk.write(f.path, unsafe.Slice(at[byte](data), size), offset, func(n int) int32 {
		return function[writeFunc](own.FxWrite)(tls, file, data, int32(n), offset)
	})
	return code(rc, fault, sqlite3.SQLITE_IOERR_WRITE)
}

func truncate(tls *libc.TLS, file uintptr, size int64) int32 {
	f, own := of(file)
	rc, fault := f.disk.truncate(f.path, size, func() int32 { return function[truncateFunc](own.FxTruncate)(tls, file, size) })
	return code(rc, fault, sqlite3.SQLITE_IOERR_TRUNCATE)
}

func flush(tls *libc.TLS, file uintptr, flags int32) int32 {
	f, own := of(file)
	rc, fault := f.disk.sync(f.path, func() int32 { return function[syncFunc](own.FxSync)(tls, file, flags) })
	return code(rc, fault, sqlite3.SQLITE_IOERR_FSYNC)
}

// code is what SQLite is told.
func code(rc int32, fault Fault, failed int32) int32 {
	switch fault {
	case Failed:
		return failed
	case NoSpace:
		return sqlite3.SQLITE_FULL
	case None:
	}
	return rc
}
