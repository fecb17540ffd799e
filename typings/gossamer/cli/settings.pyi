from node.cli.settings import *
