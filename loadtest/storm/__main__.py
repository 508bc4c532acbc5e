from loadtest.storm.cli import app

app(prog_name="python -m loadtest.storm")
