package sqlite

import (
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// BenchmarkList looks around among 1,000,000 runs of 20 workflows, all statuses, and
// 250,000 open hooks of 4 types.
func BenchmarkList(b *testing.B) {
	s, err := OpenWith(b.TempDir()+"/a.db", Options{Private: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = s.w.do(b.Context(), func(w *writer) error {
		return w.exec(`
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
INSERT INTO tenter_runs (id, workflow, version, status, created_at, updated_at, messages, epoch, events)
SELECT printf('01j%08d', i), 'flow-' || CASE WHEN i % 100000 = 7 THEN 'rare' ELSE i % 19 END, 1,
	CASE i % 20 WHEN 0 THEN 'running' WHEN 1 THEN 'failed' WHEN 2 THEN 'canceled' WHEN 3 THEN 'blocked' ELSE CASE WHEN i % 4 = 0 THEN 'waiting' ELSE 'completed' END END,
	strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1750000000 + i, 'unixepoch'), '2026', 0, 1, 1 FROM n;
INSERT INTO tenter_hooks (run_id, id, token, type, reserved, created_at, opened_pos, closed_pos)
SELECT id, id || '.h1', 'order:' || id, CASE WHEN rowid_ % 50000 = 3 THEN 'rare' ELSE 'type-' || rowid_ % 3 END, 0, created_at, 1, 0
FROM (SELECT id, created_at, row_number() OVER () AS rowid_ FROM tenter_runs WHERE status = 'waiting')`)
	})
	if err != nil {
		b.Fatal(err)
	}
	at := time.Unix(1750000000+500_000, 0)
	for name, f := range map[string]store.Filter{
		"all":                 {},
		"page in the middle":  {Before: store.RunCursor{CreatedAt: at, ID: "01j00500000"}},
		"status":              {Status: store.Failed},
		"workflow":            {Workflow: "flow-3"},
		"rare workflow":       {Workflow: "flow-rare"},
		"no such workflow":    {Workflow: "none"},
		"workflow and status": {Workflow: "flow-3", Status: store.Waiting},
		"time":                {Since: at, Until: at.Add(time.Minute)},
		"prefix":              {Prefix: "01j004"},
	} {
		b.Run("runs/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Runs(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Count(b.Context(), 10_000); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, f := range map[string]store.HookFilter{"all": {}, "type": {Type: "rare"}, "prefix": {Prefix: "order:01j001"}} {
		b.Run("hooks/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Hooks(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
