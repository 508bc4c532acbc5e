"""The emulated support system of one province (省支撑系统, ESOP): its records, its rules, its HTTP,
its process.
"""
