# Randomisation tests of the effect of arms, by full enumeration of the assignments.
#
#   Rscript tests/reference/randomisation.R
#
# writes randomisation/<case>.csv, randomisation/p_values.csv and randomisation/versions.txt next to this
# script. Base R alone. README.md explains the columns.
# For every assignment and every constant effect tau the scores are shifted, the regression on arm x item
# cells is fitted again, and its cluster-robust (CR0) standard error is computed from the sandwich.

options(stringsAsFactors = FALSE, warn = 2)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
out_dir <- file.path(if (length(script)) dirname(script) else "tests/reference", "randomisation")
dir.create(out_dir, showWarnings = FALSE, recursive = TRUE)

as_text <- function(x, digits) if (is.numeric(x)) ifelse(is.na(x), "", sprintf(digits, x)) else as.character(x)
write_text <- function(text, name) {
  connection <- file(file.path(out_dir, name), "wb")
  writeLines(text, connection, sep = "\n")
  close(connection)
}
write_table <- function(data, name, digits = "%.17g") {
  write_text(c(paste(names(data), collapse = ","), do.call(paste, c(lapply(data, as_text, digits), sep = ","))), name)
}

# ---------------------------------------------------------------- data

people <- function(arm, stratum, items, score) {
  do.call(rbind, lapply(seq_along(arm), function(j) {
    chosen <- items(j)
    data.frame(participant = sprintf("p%02d", j), arm = arm[j], site = stratum[j], item = paste0("i", chosen),
               decision = score(length(chosen)))
  }))
}
fractions <- function(n) round(runif(n), 3)
binary <- function(n) rbinom(n, 1, 0.5)

set.seed(20260523)
two <- rep(c("control", "a1"), each = 4)
cases <- list(
  # 8 participants, 4 to 4, two answers each.
  simple = people(two, rep("x", 8), function(j) 1:2, fractions),
  ones = people(two, rep("x", 8), function(j) 1:2, binary),
  # Two strata, 2 to 2 and 3 to 2; three items, so that some assignments leave an item empty in an arm.
  strata = people(c("control", "control", "a1", "a1", "control", "control", "control", "a1", "a1"),
                  rep(c("x", "y"), c(4, 5)), function(j) 1 + c(j, j + 1 + j %% 2) %% 3, fractions),
  # Two AI arms.
  arms = people(rep(c("control", "a1", "a2"), c(3, 2, 2)), rep("x", 7), function(j) if (j == 4) c(1, 1, 2) else 1:2,
                fractions)
)

# ---------------------------------------------------------------- statistic

# Difference of item-weighted means (weights NULL: plain means) and its CR0 standard error.
effect <- function(y, arm, item, person, b, weights) {
  if (is.null(weights)) {
    item <- rep("any", length(y))
    weights <- c(any = 1)
  }
  inside <- arm %in% names(b) & item %in% names(weights)
  y <- y[inside]; arm <- arm[inside]; item <- item[inside]; person <- person[inside]
  both <- names(weights)[vapply(names(weights), function(s) all(names(b) %in% arm[item == s]), TRUE)]
  emptied <- length(both) < length(weights)
  if (length(both) == 0) return(list(estimate = 0, se = 0, emptied = TRUE))
  weights <- weights[both] / sum(weights[both])
  keep <- item %in% both
  cell <- factor(paste(arm[keep], item[keep]))
  X <- model.matrix(~ 0 + cell)
  grid <- expand.grid(arm = names(b), item = both)
  a <- setNames(b[as.character(grid$arm)] * weights[as.character(grid$item)], paste(grid$arm, grid$item))[levels(cell)]
  model <- lm.fit(X, y[keep])
  bread <- solve(crossprod(X))
  V <- bread %*% crossprod(rowsum(X * model$residuals, person[keep])) %*% bread
  list(estimate = sum(a * model$coefficients), se = sqrt(drop(t(a) %*% V %*% a)), emptied = emptied)
}
zap <- function(x) if (abs(x) < 1e-12) 0 else x
TIE <- 1e-10
as_extreme <- function(drawn, observed, studentised) {
  if (!studentised) return(abs(drawn$estimate) >= abs(observed$estimate) * (1 - TIE))
  se <- zap(drawn$se)
  if (se == 0) return(TRUE)
  abs(drawn$estimate / se) >= abs(observed$estimate / observed$se) * (1 - TIE)
}

# ---------------------------------------------------------------- assignments

orders <- function(labels) {
  if (length(labels) == 0) return(list(character()))
  found <- list()
  for (first in unique(labels)) {
    rest <- labels[-match(first, labels)]
    found <- c(found, lapply(orders(rest), function(one) c(first, one)))
  }
  found
}
assignments <- function(arm, stratum) {
  within <- lapply(split(arm, stratum), orders)
  choice <- expand.grid(lapply(within, seq_along))
  places <- split(seq_along(arm), stratum)
  lapply(seq_len(nrow(choice)), function(row) {
    drawn <- arm
    for (one in names(within)) drawn[places[[one]]] <- within[[one]][[choice[row, one]]]
    drawn
  })
}

test <- function(data, b, weights, tau) {
  data <- data[data$arm %in% names(b), ]
  unit <- data[!duplicated(data$participant), ]
  all <- assignments(unit$arm, unit$site)
  treated <- names(b)[b > 0]
  shifted <- data$decision - tau * (data$arm %in% treated)
  compute <- function(arm) effect(shifted, arm, data$item, data$participant, b, weights)
  observed <- compute(data$arm)
  drawn <- lapply(all, function(arm) compute(arm[match(data$participant, unit$participant)]))
  data.frame(
    tau = tau, estimate = observed$estimate + tau, std_error = observed$se, assignments = length(all),
    emptied = sum(vapply(drawn, function(one) one$emptied, TRUE)),
    plain = mean(vapply(drawn, as_extreme, TRUE, observed, FALSE)),
    studentised = mean(vapply(drawn, as_extreme, TRUE, observed, TRUE)))
}

specs <- list(
  list(case = "simple", label = "a1", item_weights = "observed", b = c(control = -1, a1 = 1)),
  list(case = "simple", label = "a1", item_weights = "uniform", b = c(control = -1, a1 = 1)),
  list(case = "ones", label = "a1", item_weights = "observed", b = c(control = -1, a1 = 1)),
  list(case = "strata", label = "a1", item_weights = "observed", b = c(control = -1, a1 = 1)),
  list(case = "strata", label = "a1", item_weights = "uniform", b = c(control = -1, a1 = 1)),
  list(case = "arms", label = "a2", item_weights = "observed", b = c(control = -1, a2 = 1)),
  list(case = "arms", label = "all", item_weights = "observed", b = c(control = -1, a1 = 0.5, a2 = 0.5)),
  list(case = "arms", label = "all", item_weights = "uniform", b = c(control = -1, a1 = 0.5, a2 = 0.5))
)
for (name in names(cases)) write_table(cases[[name]], paste0(name, ".csv"), "%.15g")
found <- list()
for (spec in specs) {
  data <- read.csv(file.path(out_dir, paste0(spec$case, ".csv")))
  items <- sort(unique(data$item))
  weights <- if (spec$item_weights == "uniform") setNames(rep(1 / length(items), length(items)), items)
  for (tau in c(0, 0.1, -0.2, 0.45, -1)) {
    found[[length(found) + 1]] <- cbind(data.frame(case = spec$case, label = spec$label, item_weights = spec$item_weights),
                                        test(data, spec$b, weights, tau))
  }
}
write_table(do.call(rbind, found), "p_values.csv")

info <- sessionInfo()
write_text(c(info$R.version$version.string, paste("platform", info$platform),
             paste("random numbers", paste(RNGkind(), collapse = ", ")), "base R, no package"), "versions.txt")
