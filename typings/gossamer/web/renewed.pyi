from node.web.renewed import *
