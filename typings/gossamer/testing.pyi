from node.testing import *
