package p

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

type (
	OrderInput struct {
		ID, From      string
		Amount, Total int
	}
	Receipt         struct{ Amount int }
	Result          struct{}
	Message         struct{ Text string }
	Decision        struct{ Approved bool }
	ApprovalRequest struct{}
	QuoteRequest    struct{ Pieces int }
	Price           struct{ Total int }
	Payments        struct{}
	Purchase        struct{}
	Shop            struct {
		db       *pgxpool.Pool
		payments *Payments
	}
	orderHandles struct {
		Order *workflow.Workflow[OrderInput, Receipt]
	}
)

func (Purchase) charge(context.Context) error         { return nil }
func (Purchase) refund(context.Context) error         { return nil }
func (Purchase) reserve(context.Context) error        { return nil }
func (Purchase) release(context.Context) error        { return nil }
func (Purchase) ship(context.Context) (string, error) { return "", nil }

func (*Payments) Charge(context.Context, int, string) (Receipt, error) { return Receipt{}, nil }

func (*Shop) order(workflow.Context, OrderInput) (Receipt, error) { return Receipt{}, nil }

func (*Shop) orderV1(workflow.Context, OrderInput) (Receipt, error) { return Receipt{}, nil }

func (*Shop) orderV2(workflow.Context, OrderInput) (Receipt, error) { return Receipt{}, nil }
func slackBot(workflow.Context, string) (int, error)                { return 0, nil }
func release(context.Context) error                                 { return nil }

var (
	ProcessOrder                    = workflow.Declare[OrderInput, Receipt]("process order")
	SlackBot                        = workflow.Declare[string, int]("slack bot")
	orders                          orderHandles
	order, in                       OrderInput
	shop                            *Shop
	payments                        *Payments
	db, pool                        *pgxpool.Pool
	files                           *sqlitex.Pool
	st                              store.Store
	eng                             *engine.Engine
	w                               http.ResponseWriter
	r                               *http.Request
	token, channel, doc             string
	hook                            *workflow.Hook[Message]
	legal, finance, anna, ben, cleo *workflow.Hook[Decision]
	future                          *workflow.Future[Result]
)

func check(context.Context) error { return nil }

func price(QuoteRequest) Price { return Price{} }

var (
	ErrOutOfStock = workflow.DefineError("out of stock")
	requestID     string
	stock         int
)
