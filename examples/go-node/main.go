// A VPN node: tells people who they are here, and gets its own VPN JWT.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"golang.org/x/oauth2"

	"portcullis-go-node/node"
)

func main() {
	settings, err := node.ReadSettings(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	users := &Users{users: map[person]User{}}
	people := node.Guard[User]{Verifier: node.NewVerifier(settings), Sync: users.Sync}
	tokens := node.NewTokens(settings)

	mux := http.NewServeMux()
	mux.Handle("GET /whoami/{$}", people.Require(0, whoami))
	mux.Handle("GET /staff/{$}", people.Require(staffLevel, whoami))
	mux.Handle("POST /auth/vpn/auth/{$}", people.Require(30, answerToken(tokens.Token)))
	mux.Handle("POST /auth/vpn/refresh/{$}", people.Require(30, answerToken(tokens.Refresh)))

	address := os.Getenv("NODE_ADDRESS")
	if address == "" {
		address = "127.0.0.1:8000"
	}
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on http://%s", address)
	log.Fatal(server.ListenAndServe())
}

func whoami(w http.ResponseWriter, r *http.Request) { answer(w, node.UserOf[User](r)) }

// The node's own VPN JWT, for who may operate the node.
func answerToken(get func() (*oauth2.Token, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		token, err := get()
		switch {
		case errors.Is(err, node.ErrAway):
			node.Problem(w, http.StatusServiceUnavailable, err.Error())
		case err != nil:
			node.Problem(w, http.StatusBadGateway, err.Error())
		default:
			w.Header().Set("Cache-Control", "no-store")
			answer(w, map[string]any{
				"access_token": token.AccessToken,
				"token_type":   token.TokenType,
				"expires_in":   int(time.Until(token.Expiry).Seconds()),
			})
		}
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
