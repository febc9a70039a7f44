package server_test

import (
	"testing"

	"github.com/tenter-dev/tenter/internal/browsertest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }
