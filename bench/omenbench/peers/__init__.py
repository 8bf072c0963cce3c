"""Those that are compared: by SQL in the server at hand, and as libraries in processes of their own."""
