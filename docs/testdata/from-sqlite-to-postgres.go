package p

import (
	"net/http"

	"github.com/tenter-dev/tenter/engine"
)

var (
	old, neu *engine.Engine
	mux      *http.ServeMux
	token    string
	payload  any
)
