package postgres

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// sent is what the server has to find in a row of an array.
type sent struct {
	Int    int
	Bigint int64
	Text   string
	Opt    *string
	Bytes  []byte
	At     time.Time
	Bool   bool
	JSON   *store.NewRun
	Keep   time.Duration
	Took   []int64
	Names  []string
}

func drawSent(t *rapid.T) sent {
	text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r > 0 && r != '\uFFFD' }))
	s := sent{
		Int: rapid.IntRange(-1<<31, 1<<31-1).Draw(t, "int"), Bigint: rapid.Int64().Draw(t, "bigint"),
		Text: text.Draw(t, "text"), Opt: rapid.Ptr(text, true).Draw(t, "opt"),
		Bool: rapid.Bool().Draw(t, "bool"), Keep: time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "keep")) * time.Microsecond,
		At:   time.UnixMicro(rapid.Int64Range(-1e15, 1e17).Draw(t, "at")).UTC(),
		Took: append([]int64{}, rapid.SliceOf(rapid.Int64()).Draw(t, "took")...), Names: append([]string{}, rapid.SliceOf(text).Draw(t, "names")...),
	}
	if rapid.Bool().Draw(t, "has bytes") {
		s.Bytes = append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")...)
	}
	if rapid.Bool().Draw(t, "has JSON") {
		s.JSON = &store.NewRun{ID: "run", Workflow: text.Draw(t, "workflow"), Input: []byte{1}}
	}
	return s
}

// What is encoded for the server is what it reads, NULL and empty told apart.
func TestArrays(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), `CREATE TYPE sent AS (i int, b bigint, t text, o text, d bytea, at timestamptz, ok boolean, j jsonb, keep interval,
		took bigint[], names text[])`); err != nil {
		t.Fatal(err)
	}
	ts, err := readTypes(t.Context(), conn, "public", []string{"sent"})
	if err != nil {
		t.Fatal(err)
	}
	ts.register(conn.TypeMap())
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawSent), 0, 5).Draw(rt, "rows")
		a := ts.array("sent", 1)
		for _, s := range rows {
			a.add(
				integer(s.Int), bigint(s.Bigint), text(s.Text), given(s.Opt), bytea(s.Bytes), timestamptz(s.At), boolean(s.Bool),
				jsonb(encodeNewRun(s.JSON)), interval(s.Keep), bigints(s.Took), texts(s.Names),
			)
		}
		read, err := conn.Query(t.Context(), `SELECT i, b, t, o, d, at, ok, j, keep, took, names FROM unnest($1::sent[])`, a.value())
		if err != nil {
			rt.Fatal(err)
		}
		got, err := pgx.CollectRows(read, func(row pgx.CollectableRow) (s sent, err error) {
			var data []byte
			err = row.Scan(&s.Int, &s.Bigint, &s.Text, &s.Opt, &s.Bytes, &s.At, &s.Bool, &data, &s.Keep, &s.Took, &s.Names)
			if err == nil && data != nil {
				err = json.Unmarshal(data, &s.JSON)
			}
			s.At = s.At.UTC()
			return s, err
		})
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(append([]sent{}, rows...), append([]sent{}, got...)); diff != "" {
			rt.Errorf("read (-sent +read):\n%s", diff)
		}
	})
}
