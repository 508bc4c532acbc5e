"""Batches (批量工单): files received and checked, and orders that others carry out."""
