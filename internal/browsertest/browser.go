package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// browser is the one that all tests of this process share.
var browser struct {
	once sync.Once
	ctx  context.Context //nolint:containedctx // lives as long as the process
	stop func()
	err  error
}

// Main is the TestMain of a package that has tests with a browser: it ends the browser after them.
func Main(m *testing.M) {
	m.Run()
	if browser.stop != nil {
		browser.stop()
	}
}

func launch() {
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		browser.err = errors.New("Chromium is needed, and not here: install it (on Debian: apt-get install chromium)") //nolint:staticcheck // it is a name
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("no-sandbox", os.Geteuid() == 0),
		chromedp.Flag("js-flags", "--max-old-space-size=256"), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en-US"))
	ctx, stopBrowser := chromedp.NewExecAllocator(context.Background(), options...) //nolint:forbidigo // lives as long as the process
	ctx, stop := chromedp.NewContext(ctx)
	browser.ctx, browser.stop = ctx, func() { stop(); stopBrowser() }
	browser.err = chromedp.Do(ctx)
}
