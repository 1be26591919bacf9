"""Gates: policy + evidence -> verdict. `decision`, `evidence`, `samples`, `rules` and `characteristics` load numpy and
scipy, so the service imports them inside the functions that decide; `schemas` and `outcome` are light."""
