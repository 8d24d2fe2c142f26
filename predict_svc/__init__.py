"""The serving side: `view` keeps the serving views, `api` answers predictions from them."""
