package routers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/tenter-dev/tenter/server"
)

func withGin(h handlers) http.Handler {
	r := gin.New()
	r.Any(server.WebhookPath+"*token", gin.WrapH(h.public))
	r.POST("/chat/:channel", ginParams, gin.WrapH(h.chat))
	r.Any(server.AnswerPath+"*link", gin.WrapH(h.answers))
	r.POST("/reviews/:id/decision", ginParams, gin.WrapH(h.decide))
	r.Any(server.APIPath+"*path", gin.WrapH(h.api))
	r.Any("/dashboard/*page", gin.WrapH(h.pages))
	return r
}

// ginParams lets handlers of net/http read parameters of the path, with PathValue.
func ginParams(c *gin.Context) {
	for _, p := range c.Params {
		c.Request.SetPathValue(p.Key, p.Value)
	}
}
