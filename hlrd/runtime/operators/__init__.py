"""Operators (操作员): who they are, by the tokens of the SSO, and what they may."""
