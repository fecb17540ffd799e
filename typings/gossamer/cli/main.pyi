from node.cli.main import *
