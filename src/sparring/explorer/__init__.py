"""The local web page of `sparring explore`."""
