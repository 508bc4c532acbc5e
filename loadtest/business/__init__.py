"""What CRM, BOSS, ESOP and the SSO are made of: their processes, papers and talk."""
