package routers

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/tenter-dev/tenter/server"
)

func withEcho(h handlers) http.Handler {
	e := echo.New()
	e.Any(server.WebhookPath+"*", echo.WrapHandler(h.public))
	e.POST("/chat/:channel", echo.WrapHandler(h.chat), echoParams)
	e.Any(server.AnswerPath+"*", echo.WrapHandler(h.answers))
	e.POST("/reviews/:id/decision", echo.WrapHandler(h.decide), echoParams)
	e.Any(server.APIPath+"*", echo.WrapHandler(h.api))
	e.Any("/dashboard/*", echo.WrapHandler(h.pages))
	return e
}

// echoParams lets handlers of net/http read parameters of the path, with PathValue.
func echoParams(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		for _, p := range c.PathValues() {
			c.Request().SetPathValue(p.Name, p.Value)
		}
		return next(c)
	}
}
