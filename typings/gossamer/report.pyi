from node.report import *
