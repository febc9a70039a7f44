package postgres

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tenter-dev/tenter/internal/saturate"
)

// array is an array of a composite type, as the binary format of PostgreSQL has it. Each
// batch has some: for pgx to determine by reflection how to encode them took a third of the
// CPU time and half of the allocations of a worker's writes.
type array struct {
	element uint32 // OID of the type
	rows    int
	buf     []byte // the header, to be filled in, and the rows
}

const arrayHeader = 20

// newArray is an array with room for so many rows of a usual size.
func newArray(element uint32, rows int) *array {
	const usual = 256
	return &array{element: element, buf: make([]byte, arrayHeader, arrayHeader+rows*usual)}
}

// clear makes it an empty array of another type.
func (a *array) clear(t compositeType) {
	a.element, a.rows, a.buf = t.oid, 0, a.buf[:arrayHeader]
}

// value is the argument of a statement.
func (a *array) value() []byte {
	header := appendHeader(a.buf[:0], a.element, a.rows)
	if a.rows == 0 {
		return header
	}
	return a.buf
}

// appendHeader begins an array of one dimension.
func appendHeader(b []byte, element uint32, n int) []byte {
	dimensions := min(n, 1)
	b = appendInt4(b, dimensions)
	b = appendInt4(b, 0) // no element is NULL
	b = binary.BigEndian.AppendUint32(b, element)
	if dimensions > 0 {
		b = appendInt4(b, n)
		b = appendInt4(b, 1) // the first index
	}
	return b
}

func appendInt4(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

func appendInt8(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

// add adds a row, with all fields of the type in its order.
func (a *array) add(fields ...field) {
	a.rows++
	start := len(a.buf)
	a.buf = appendInt4(a.buf, 0)
	a.buf = appendInt4(a.buf, len(fields))
	for i := range fields {
		a.buf = fields[i].append(a.buf)
	}
	binary.BigEndian.PutUint32(a.buf[start:], uint32(len(a.buf)-start-4))
}

// field is a field of a row.
type field struct {
	oid  uint32
	null bool
	size int   // of a number
	n    int64 // the number
	text string
	data []byte // after the text
}

func (f *field) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, f.oid)
	switch {
	case f.null:
		return appendInt4(b, -1)
	case f.size == 1:
		return append(appendInt4(b, 1), byte(f.n))
	case f.size == 4:
		return appendInt4(appendInt4(b, 4), int(f.n))
	case f.size == 8:
		return appendInt8(appendInt4(b, 8), f.n)
	}
	b = appendInt4(b, len(f.text)+len(f.data))
	b = append(b, f.text...)
	return append(b, f.data...)
}

// opt is NULL if there is no value.
func opt(there bool, f field) field {
	f.null = !there
	return f
}

func text(s string) field  { return field{oid: pgtype.TextOID, text: s} }
func integer(n int) field  { return field{oid: pgtype.Int4OID, size: 4, n: int64(n)} }
func bigint(n int64) field { return field{oid: pgtype.Int8OID, size: 8, n: n} }
func bytea(b []byte) field { return field{oid: pgtype.ByteaOID, null: b == nil, data: b} }

func boolean(b bool) field {
	f := field{oid: pgtype.BoolOID, size: 1}
	if b {
		f.n = 1
	}
	return f
}

// epoch is the time from which PostgreSQL counts microseconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func timestamptz(t time.Time) field {
	return field{oid: pgtype.TimestamptzOID, size: 8, n: saturate.Time(t).UnixMicro() - epoch}
}

func interval(d time.Duration) field {
	return field{oid: pgtype.IntervalOID, data: appendInt8(appendInt8(nil, d.Microseconds()), 0)} // no days, no months
}

// optTimestamptz is NULL for a zero time.
func optTimestamptz(t time.Time) field { return opt(!t.IsZero(), timestamptz(t)) }

// optional is a text that is NULL if it is empty.
func optional(s string) field { return opt(s != "", text(s)) }

// given is a text that is NULL if there is none.
func given(s *string) field {
	if s == nil {
		return opt(false, text(""))
	}
	return text(*s)
}

// jsonb is NULL for nil.
func jsonb(v json.RawMessage) field {
	return field{oid: pgtype.JSONBOID, null: v == nil, text: "\x01", data: v} // the version of the format
}

var noBigints, noTexts = appendHeader(nil, pgtype.Int8OID, 0), appendHeader(nil, pgtype.TextOID, 0)

func bigints(ns []int64) field {
	if len(ns) == 0 {
		return field{oid: pgtype.Int8ArrayOID, data: noBigints}
	}
	b := appendHeader(nil, pgtype.Int8OID, len(ns))
	for _, n := range ns {
		b = appendInt8(appendInt4(b, 8), n)
	}
	return field{oid: pgtype.Int8ArrayOID, data: b}
}

func texts(ss []string) field {
	if len(ss) == 0 {
		return field{oid: pgtype.TextArrayOID, data: noTexts}
	}
	b := appendHeader(nil, pgtype.TextOID, len(ss))
	for _, s := range ss {
		b = append(appendInt4(b, len(s)), s...)
	}
	return field{oid: pgtype.TextArrayOID, data: b}
}
