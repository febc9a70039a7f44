package p

import (
	"context"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

type (
	Order    struct{ ID string }
	User     struct{ Email string }
	Sessions struct{}
)

func (Sessions) User(*http.Request) (User, bool)             { return User{}, false }
func (Sessions) SignIn(http.ResponseWriter, *http.Request)   {}
func mail(ctx context.Context, to string, link string) error { return nil }

var (
	sessions  Sessions
	workflows []workflow.Definition
	st        store.Store
	eng       *engine.Engine
	mux       *http.ServeMux
	hook      *workflow.Hook[Decision]
	key       []byte
)
