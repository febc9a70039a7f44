package dashboard_test

import (
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/browsertest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }

// patience is far above what anything here takes, on a busy machine too.
const patience = 15 * time.Minute
