package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/faultproxy"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/workflow"
)

// S23: an order and the run that handles it are made in one transaction, and so are a
// payment and the resume of the run's hook; a step moves money in the app's tables.

const appTables = `
CREATE TABLE orders (n integer PRIMARY KEY);
CREATE TABLE payments (n integer PRIMARY KEY);
CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL);
INSERT INTO accounts SELECT id, 0 FROM generate_series(0, 4) id;
CREATE TABLE moves (n integer)`

var sale = workflow.Declare[int, string]("sale")

// A cashier handles orders: it waits for the payment and moves the money.
type cashier struct{ pool *pgxpool.Pool }

func (c *cashier) handle(ctx workflow.Context, n int) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(fmt.Sprint("payment:", n)))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	text, err := hook.Wait(ctx)
	if err != nil {
		return "", err
	}
	return workflow.TxStep(ctx, "move", postgres.Pool(c.pool), func(ctx context.Context, tx pgx.Tx) (string, error) {
		if _, err := tx.Exec(ctx, "INSERT INTO moves (n) VALUES ($1)", n); err != nil {
			return "", err
		}
		_, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance + $1 WHERE id = $1 % 5", n)
		return text, err
	}, workflow.Backoff(20*time.Millisecond, 200*time.Millisecond), workflow.MaxAttempts(0))
}

// OrderArgs ask for a transaction of the app.
type OrderArgs struct {
	N        int
	Rollback bool
}

// errAgain says that something has been done already.
var errAgain = errors.New("again")

// transact executes f and a row's insertion in one transaction of the app, once.
func (d *door) transact(a OrderArgs, insert string, f func(ctx context.Context, c workflow.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insert, a.N)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errAgain
		}
		if err := f(ctx, d.eng.WithTx(postgres.Tx(tx))); err != nil {
			return err
		}
		if a.Rollback {
			return errAgain
		}
		return nil
	})
	if errors.Is(err, errAgain) {
		return nil
	}
	return err
}

// Order makes an order and the run that handles it.
func (d *door) Order(a OrderArgs, _ *struct{}) error {
	return d.transact(a, "INSERT INTO orders (n) VALUES ($1) ON CONFLICT DO NOTHING", func(ctx context.Context, c workflow.Client) error {
		_, err := sale.Start(ctx, c, a.N, workflow.RunID(fmt.Sprint("order-", a.N)))
		return err
	})
}

// Pay makes a payment and tells the run.
func (d *door) Pay(a OrderArgs, _ *struct{}) error {
	return d.transact(a, "INSERT INTO payments (n) VALUES ($1) ON CONFLICT DO NOTHING", func(ctx context.Context, c workflow.Client) error {
		_, err := workflow.Resume(ctx, c, fmt.Sprint("payment:", a.N), fmt.Sprint("payment of ", a.N))
		return err
	})
}

// TestS23AppData: processes that make orders and payments, and workers that handle them,
// are killed and cut off from the database at every point of the way. Both rows and
// runs are there, or neither is, and the money moves once.
func TestS23AppData(t *testing.T) {
	t.Parallel()
	direct := newServerURL(t)
	s := newScene(t, direct)
	if _, err := s.admin.Exec(t.Context(), appTables); err != nil {
		t.Fatal(err)
	}
	var proxies []*faultproxy.Proxy
	process := func(lease time.Duration) *service {
		p, url := newProxy(t, direct, uint64(len(proxies)))
		proxies = append(proxies, p)
		return newRole(t, s.db, role{Database: url, Lease: lease})
	}
	clerks := []*service{process(0), process(0)}
	services := []*service{process(workLease), process(workLease)}
	s.workersUp(len(services))
	over, stop := context.WithTimeout(t.Context(), lasting())
	defer stop()
	s.over = over

	var torments sync.WaitGroup
	const every = 500 * time.Millisecond
	for _, p := range proxies {
		torments.Go(func() { p.Torment(over, every) })
	}
	all := append(clerks[:len(clerks):len(clerks)], services...)
	a := &adversity{scene: s, services: services}
	torments.Go(func() {
		for a.pause(every, every) {
			a.kill(all[rand.N(len(all))])
		}
	})

	const callers = 12
	insist := func(clerk *service, method string, args OrderArgs) {
		s.insist(fmt.Sprint(method, args), func(context.Context) error {
			return clerk.call(method, args, &struct{}{})
		})
	}
	for i := range callers {
		clerk := clerks[i%len(clerks)]
		s.loop(func(k int) {
			n := callers*k + i
			id, text := fmt.Sprint("order-", n), fmt.Sprint("payment of ", n)
			if n%3 == 0 {
				insist(clerk, "Order", OrderArgs{n, true})
			}
			asked := s.chron.start(id, fmt.Sprintf("%q", text))
			insist(clerk, "Order", OrderArgs{N: n})
			s.chron.certainly(&asked.certain)
			sent := s.chron.send(payload{text: text, token: fmt.Sprint("payment:", n), sender: id})
			if n%3 == 1 {
				insist(clerk, "Pay", OrderArgs{n, true})
			}
			insist(clerk, "Pay", OrderArgs{N: n})
			s.chron.certainly(&sent.certain)
			s.await(id)
		})
	}
	torments.Wait()
	s.end(s.unfinished)
	for _, w := range all {
		w.close()
	}
	s.check()
	s.wantNone("orders without a run", `SELECT n::text FROM orders WHERE NOT EXISTS (SELECT FROM tenter.runs WHERE id = 'order-' || n)`)
	s.wantNone("runs without an order", `SELECT id FROM tenter.runs WHERE NOT EXISTS (SELECT FROM orders WHERE id = 'order-' || n)`)
	s.wantNone("payments that no run has heard of", `SELECT n::text FROM payments WHERE NOT EXISTS
		(SELECT FROM tenter.journal WHERE run_id = 'order-' || n AND kind = 'payload_received')`)
	s.wantNone("runs that were paid without a payment", `SELECT run_id FROM tenter.journal WHERE kind = 'payload_received' AND NOT EXISTS
		(SELECT FROM payments WHERE run_id = 'order-' || n)`)
	s.wantNone("orders whose money did not move once", `SELECT n::text FROM orders WHERE (SELECT count(*) FROM moves m WHERE m.n = orders.n) <> 1`)
	s.wantNone("accounts that are wrong", `SELECT id::text FROM accounts WHERE balance <> (SELECT coalesce(sum(n), 0) FROM moves WHERE n % 5 = id)`)
	faults := 0
	for _, p := range proxies {
		faults += len(p.Faults())
	}
	runs, _, _ := s.chron.numbers()
	t.Logf("%d orders, %d processes were killed, %d faults of the network", runs, a.kills, faults)
}

// wantNone checks that a query finds nothing.
func (s *scene) wantNone(what, sql string) {
	s.t.Helper()
	found, err := s.list(sql)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(found) > 0 {
		s.t.Errorf("%s: %v", what, found)
	}
}
