import PramVerify
