//go:build unix

package scenario_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRollingUpgrade: three workers, which also take what is asked, are replaced one by one
// by a build with the next schema, and then by the old build again, under load. Old workers
// execute runs beside new ones, also when they were started after these; no payload is lost, and
// each run comes to its end.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	next := buildNext(t)
	onEachStore(t, func(t *testing.T, db *database) { rollingUpgrade(t, db, next) })
}

func rollingUpgrade(t *testing.T, db *database, next string) {
	t.Helper()
	s := setScene(t, db)
	services := make([]*service, 3)
	for i := range services {
		services[i] = newRole(t, db, role{Database: db.url, Lease: workLease, Webhooks: true})
	}
	s.api, s.fronts = &remote{services: services}, services
	r := &rollout{&adversity{scene: s, services: services}, s.number()}
	over, stop := context.WithCancel(t.Context())
	defer stop()
	s.over = over
	s.begin()

	r.allWork("old workers")
	r.replace(0, next)
	r.schema++
	r.allWork("a new worker beside old ones")
	r.kill(services[1])
	r.allWork("an old worker that was started after the new one")
	r.replace(1, next)
	r.replace(2, next)
	r.kill(services[0])
	r.allWork("new workers")
	r.replace(0, "")
	r.kill(services[1])
	r.allWork("an old worker beside new ones")
	r.replace(1, "")
	r.replace(2, "")
	r.allWork("old workers again")

	stop()
	s.end(s.unfinished)
	fenced := r.fenced()
	for _, w := range services {
		w.close()
	}
	r.tell(s.check(), fenced)
}

// rollout replaces the workers of a scene.
type rollout struct {
	*adversity
	schema int // its number, as it has to be
}

// replace stops a worker cleanly, and starts one of another build.
func (r *rollout) replace(i int, binary string) {
	w := r.services[i]
	w.become(binary)
	r.terminate(w)
}

// allWork waits until each worker that is up has executed some steps.
func (r *rollout) allWork(who string) {
	t := r.t
	t.Helper()
	const some = 5
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); ; <-tick.C {
		acts, err := effects(r.log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		steps := map[int]int{}
		for _, e := range acts {
			if !e.Ended.IsZero() {
				steps[e.Process]++
			}
		}
		idle := 0
		for _, w := range r.services {
			if p := w.process(); p.gone() || steps[p.cmd.Process.Pid] < some {
				idle++
			}
		}
		if idle == 0 {
			break
		}
		if time.Since(since) > 10*time.Minute {
			t.Fatalf("%s: %d of %d execute nothing", who, idle, len(r.services))
		}
	}
	if n := r.number(); n != r.schema {
		t.Errorf("%s: the schema is at %d, want %d", who, n, r.schema)
	}
}

// number returns the number of the schema.
func (s *scene) number() (n int) {
	s.t.Helper()
	sql := "SELECT CAST(max(version) AS text) FROM tenter.schema"
	if s.admin != nil {
		sql = "SELECT CAST(max(version) AS text) FROM tenter.migrations"
	}
	found, err := s.list(sql)
	if err == nil {
		_, err = fmt.Sscan(found[0], &n)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// buildNext builds the processes of this package with the next schema: a migration more on
// each store, and on PostgreSQL a new version of the function that writes transitions, in terms
// of which the old one is written.
func buildNext(t *testing.T) (binary string) {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	write := func(path, text string) {
		to := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at, err := filepath.Abs(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		overlay.Replace[at] = to
	}
	change := func(path string, oldnew ...string) {
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(oldnew); i += 2 {
			if strings.Count(string(text), oldnew[i]) != 1 {
				t.Fatalf("%s is no longer what this test changes: it has %d of %q", path, strings.Count(string(text), oldnew[i]), oldnew[i])
			}
			text = []byte(strings.Replace(string(text), oldnew[i], oldnew[i+1], 1))
		}
		write(path, string(text))
	}
	steps, err := filepath.Glob("../store/postgres/migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	write(fmt.Sprintf("store/postgres/migrations/%03d.sql", len(steps)+1), "ALTER TABLE journal ADD COLUMN note text;\nCREATE INDEX runs_version ON runs (version);\n")
	const arguments = "(ns transition[], ts transition[], es event_2[], fx effect[], un message_2[], ex attempt[], bs backlog_change[], claims integer[])"
	change("store/postgres/functions/apply.sql",
		"FUNCTION apply_2"+arguments, "FUNCTION apply_3"+arguments,
		"INSERT INTO journal (run_id,", "INSERT INTO journal (note, run_id,",
		"SELECT x.run_id, x.position,", "SELECT 'next', x.run_id, x.position,",
		"-- For binaries that know no backlogs.", "-- For binaries of before.\nCREATE OR REPLACE FUNCTION apply_2"+arguments+`
RETURNS SETOF verdict LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT * FROM apply_3(ns, ts, es, fx, un, ex, bs, claims);
END $$;

-- For binaries that know no backlogs.`)
	change("store/postgres/queries.go", "FROM tenter.apply_2(", "FROM tenter.apply_3(")
	change("store/sqlite/schema.go", "`,\n}\n", "`,\n`ALTER TABLE tenter_journal ADD COLUMN note TEXT;\nCREATE INDEX tenter_runs_version ON tenter_runs (version);\n`,\n}\n")
	const columns = "run_id, position, at, kind, ref, data, asked, or_start, epoch, seq, actor) VALUES ("
	change("store/sqlite/queries.go", "INSERT INTO tenter_journal ("+columns, "INSERT INTO tenter_journal (note, "+columns+"'next', ")
	js, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, js, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "next.test")
	args := []string{"test", "-c", "-overlay", list, "-o", binary}
	if raceDetector {
		args = append(args, "-race") // what the overlay does not change is built already
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("build the next version: %v\n%s", err, out)
	}
	return binary
}
