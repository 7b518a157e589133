// Verifies tokens of customers with go-jose and with golang-jwt, as a gateway in Go would, for libraries.test.ts: reads a
// JSON array of questions from the file that is named, and prints an array of answers.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
)

type question struct {
	Library  string `json:"library"`
	Token    string `json:"token"`
	PEM      string `json:"pem"`
	JWKS     string `json:"jwks"`
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
}

type answer struct {
	Claims map[string]any `json:"claims,omitempty"`
	Error  string         `json:"error,omitempty"`
}

func main() {
	var questions []question
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &questions)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	answers := make([]answer, len(questions))
	for index, asked := range questions {
		verify := byGolangJWT
		if asked.Library == "go-jose" {
			verify = byGoJose
		}
		claims, err := verify(asked)
		if err != nil {
			answers[index] = answer{Error: err.Error()}
		} else {
			answers[index] = answer{Claims: claims}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		os.Exit(2)
	}
}

func byGoJose(asked question) (map[string]any, error) {
	parsed, err := josejwt.ParseSigned(asked.Token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	var key any
	if asked.PEM == "" {
		key, err = fetchKeys(asked.JWKS)
	} else {
		key, err = publicKey(asked.PEM)
	}
	if err != nil {
		return nil, err
	}
	var registered josejwt.Claims
	var claims map[string]any
	if err := parsed.Claims(key, &registered, &claims); err != nil {
		return nil, err
	}
	expected := josejwt.Expected{Issuer: asked.Issuer, AnyAudience: josejwt.Audience{asked.Audience}, Time: time.Now()}
	if registered.Expiry == nil {
		return nil, errors.New("the token has no expiry")
	}
	return claims, registered.ValidateWithLeeway(expected, 0)
}

func byGolangJWT(asked question) (map[string]any, error) {
	claims := jwt.MapClaims{}
	find, err := keyFunc(asked)
	if err != nil {
		return nil, err
	}
	_, err = jwt.ParseWithClaims(asked.Token, claims, find,
		jwt.WithValidMethods([]string{"ES256"}),
		jwt.WithIssuer(asked.Issuer),
		jwt.WithAudience(asked.Audience),
		jwt.WithExpirationRequired(),
	)
	return claims, err
}

func keyFunc(asked question) (jwt.Keyfunc, error) {
	if asked.PEM == "" {
		keys, err := keyfunc.NewDefaultCtx(context.Background(), []string{asked.JWKS})
		if err != nil {
			return nil, err
		}
		return keys.Keyfunc, nil
	}
	key, err := jwt.ParseECPublicKeyFromPEM([]byte(asked.PEM))
	return func(*jwt.Token) (any, error) { return key, nil }, err
}

func publicKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("this is no PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

func fetchKeys(url string) (*jose.JSONWebKeySet, error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var keys jose.JSONWebKeySet
	return &keys, json.NewDecoder(response.Body).Decode(&keys)
}
