"""Prompts written for this project: families of one meaning, their near misses, their slots.

A line of SAME is one meaning in several wordings, parted by "|". After "##" come wordings that
look alike and mean something else. {x} is a slot; a slot's name tells its list (x1 and x2 are two
values of one list). A line that begins with "<>" keeps its meaning when x1 and x2 change places;
in any other line with two of a list, changing them changes the meaning.
"""

SLOTS = {
    "city": "Paris|Berlin|Madrid|Lisbon|Rome|Vienna|Oslo|Tokyo|Osaka|Chicago|Boston|Seattle|Denver|Austin|Miami|Toronto|Dublin|London|Manchester|Prague|Warsaw|Athens|Cairo|Nairobi|Mumbai|Delhi|Sydney|Zurich|Munich|Milan|New York|Los Angeles|San Francisco|Hong Kong",
    "country": "France|Germany|Spain|Italy|Portugal|Norway|Sweden|Finland|Denmark|Poland|Austria|Greece|Egypt|Kenya|Nigeria|India|China|Japan|South Korea|Brazil|Argentina|Chile|Peru|Mexico|Canada|Australia|Turkey|Russia|Ukraine|Ireland|the Netherlands|Vietnam|Thailand|Indonesia",
    "lang": "English|French|German|Spanish|Italian|Portuguese|Dutch|Polish|Turkish|Russian|Japanese|Korean|Chinese|Arabic|Hindi|Swedish",
    "plang": "Python|Java|Go|Rust|JavaScript|TypeScript|C++|C#|Ruby|PHP|Kotlin|Swift|Scala|Perl|R|Lua",
    "cur": "dollars|euros|pounds|yen|Swiss francs|rupees|Canadian dollars|pesos|kronor",
    "person": "Anna|Ben|Carla|David|Emma|Frank|Grace|Henry|Irene|Jack|Laura|Mark|Nina|Oscar|Paula|Robert|Sarah|Tom|Maria|Peter|Alice|Bob|Julia|Kevin",
    "famous": "Isaac Newton|Albert Einstein|Marie Curie|Charles Darwin|Napoleon|Julius Caesar|Cleopatra|Abraham Lincoln|George Washington|Winston Churchill|Nelson Mandela|Leonardo da Vinci|Mozart|Beethoven|Shakespeare|Galileo|Nikola Tesla|Ada Lovelace|Alan Turing|Mahatma Gandhi",
    "team": "Arsenal|Chelsea|Liverpool|Barcelona|Real Madrid|Juventus|Bayern Munich|the Lakers|the Celtics|the Yankees|the Red Sox|Brazil|Argentina|Germany|France|the Bulls|the Packers|the Patriots",
    "app": "Slack|Teams|Zoom|Gmail|Outlook|Notion|Jira|Trello|GitHub|GitLab|WhatsApp|Signal|Telegram|Instagram|Chrome|Firefox|Windows|macOS|Excel|Word|Photoshop|Spotify|Netflix|Discord|Figma",
    "os": "Ubuntu|Debian|Fedora|Windows 10|Windows 11|macOS|CentOS|Arch Linux|Alpine|a Raspberry Pi",
    "soft": "Docker|Node.js|PostgreSQL|MySQL|Redis|Nginx|Git|Terraform|Kubernetes|Ansible|Apache|MongoDB|Jenkins|Grafana|Elasticsearch|VS Code|pip|npm",
    "feature": "dark mode|notifications|two-factor authentication|auto-save|read receipts|location tracking|automatic updates|spell check|developer mode|end-to-end encryption|cookies|the firewall|guest access|email alerts|keyboard shortcuts|backups|the camera|sync",
    "num": "2|3|4|5|6|7|8|9|10|12|15|18|20|24|25|30|35|40|48|50|60|64|75|80|90|100|120|128|150|200|250|256|300|365|400|500|512|750|1000|1024|1500|2000|5000|10000",
    "year": "1945|1966|1969|1978|1984|1990|1994|1998|2001|2002|2005|2006|2008|2010|2012|2014|2016|2017|2018|2019|2020|2021|2022|2023|2024|2025",
    "ver": "2.0|2.1|3.0|3.1|3.8|3.9|3.10|3.11|3.12|4.0|4.2|5.0|5.7|8.0|11|14|15|16|17|18|20|21|22",
    "unit": "miles|kilometers|meters|feet|inches|yards|centimeters",
    "wunit": "grams|ounces|pounds|kilograms|milligrams|stone",
    "drink": "coffee|green tea|black tea|red wine|white wine|beer|milk|orange juice|whole milk|skim milk|tap water|mineral water",
    "food": "chicken|beef|salmon|rice|pasta|tofu|lentils|potatoes|bread|pancakes|lasagna|pizza dough|risotto|hummus|chocolate cake|omelette|tomato soup|apple pie|curry|cheesecake",
    "animal": "cats|dogs|horses|lions|tigers|wolves|sharks|dolphins|elephants|bears|snakes|eagles|foxes|rabbits|mice|owls",
    "film": "Titanic|Inception|The Matrix|Jaws|Alien|Casablanca|Psycho|The Godfather|Avatar|Gladiator|Rocky|Frozen|Toy Story|Goodfellas|Parasite|Memento",
    "book": "Dune|Emma|Dracula|Frankenstein|Hamlet|Macbeth|Ulysses|Moby Dick|Walden|The Hobbit|Jane Eyre|Don Quixote|War and Peace|Lolita|Beloved",
    "planet": "Mercury|Venus|Mars|Jupiter|Saturn|Uranus|Neptune|the Moon|the Sun|Pluto|Earth",
    "elem": "iron|gold|silver|copper|oxygen|hydrogen|helium|carbon|nitrogen|sodium|lead|mercury|zinc|tin",
    "sci": "photosynthesis|gravity|entropy|osmosis|inflation|recursion|blockchain|machine learning|quantum entanglement|natural selection|supply and demand|the greenhouse effect|evolution|nuclear fusion|nuclear fission|mitosis|meiosis|dark matter|antimatter|plate tectonics|black holes|vaccines|general relativity|special relativity",
    "ds": "a list|a dictionary|a tuple|an array|a set|a string|a linked list|a stack|a queue|a heap|a hash map|a binary tree|a graph|a JSON object|a CSV file|an XML file|a YAML file",
    "disease": "the flu|a cold|asthma|diabetes|migraine|pneumonia|bronchitis|anemia|appendicitis|measles|malaria|arthritis|eczema|strep throat|food poisoning",
    "drug": "ibuprofen|paracetamol|aspirin|amoxicillin|metformin|cetirizine|omeprazole|warfarin",
    "job": "a data analyst|a nurse|a software engineer|a teacher|a product manager|a graphic designer|an accountant|a project manager|a lawyer|an electrician|a pilot|a chef",
    "topic": "climate change|remote work|artificial intelligence|social media|renewable energy|online education|electric cars|space exploration|healthy eating|time management|teamwork|public transport",
    "plan": "Basic|Pro|Premium|Team|Enterprise|Family|Student|Business|Starter|Plus",
    "item": "a laptop|my headphones|a pair of shoes|a jacket|a phone case|my order|a gift card|a subscription|a damaged item|an unopened item|a sofa|my ticket",
    "order": "A1043|A1044|B2201|B2210|77812|77821|90315|INV-2041|INV-2014|ZX-88|ZX-89|10457|10475|#5512|#5521",
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "month": "January|February|March|April|June|July|August|September|October|November|December",
    "phone": "iPhone 12|iPhone 13|iPhone 14|iPhone 15|Galaxy S21|Galaxy S22|Galaxy S23|Pixel 6|Pixel 7|Pixel 8",
    "car": "Toyota|Honda|Ford|Tesla|BMW|Audi|Volkswagen|Volvo|Hyundai|Nissan|Mazda|Kia",
    "fw": "React|Vue|Angular|Svelte|Django|Flask|FastAPI|Rails|Laravel|Spring Boot|Express",
    "inst": "guitar|piano|violin|drums|flute|cello|saxophone|ukulele",
    "sport": "football|tennis|basketball|cricket|rugby|golf|swimming|hockey|baseball|volleyball",
}

SAME = """
What is the capital of {country}?|What's the capital city of {country}?|capital of {country}|Tell me the capital of {country}|Which city is {country}'s capital?|Do you know what the capital of {country} is?|name {country}'s capital city ## What is the currency of {country}?|What is the population of the capital of {country}?|What is the largest city of {country}?|What was the former capital of {country}?
What is the population of {country}?|How many people live in {country}?|{country} population|What's {country}'s population?|How big is the population of {country}?|number of inhabitants of {country} ## What is the area of {country}?|What is the population density of {country}?|How many people emigrate from {country}?
What currency is used in {country}?|What's the currency of {country}?|Which money do they use in {country}?|currency of {country}|What do people pay with in {country}? ## What language is used in {country}?|What is the exchange rate in {country}?
What language do people speak in {country}?|Which language is spoken in {country}?|language of {country}|What do they speak in {country}? ## What religion do people follow in {country}?|How many languages are spoken in {country}?
Who was the president of {country} in {year}?|{country}'s president in {year}|Who served as president of {country} in {year}?|Name the person who was president of {country} in {year} ## Who was the vice president of {country} in {year}?|Who was the prime minister of {country} in {year}?|Who became president of {country} after {year}?
When was {famous} born?|What is {famous}'s date of birth?|birth date of {famous}|On what date was {famous} born?|What's the birthday of {famous}? ## When did {famous} die?|Where was {famous} born?|When was {famous} married?|How old was {famous} when he died?
Where was {famous} born?|What is the birthplace of {famous}?|{famous}'s place of birth|In which town was {famous} born? ## Where did {famous} die?|When was {famous} born?|Where is {famous} buried?
How did {famous} die?|What was the cause of {famous}'s death?|What killed {famous}?|cause of death of {famous} ## When did {famous} die?|How did {famous} become famous?
Who directed {film}?|Who was the director of {film}?|Who is {film} directed by?|director of the movie {film}|Name the person who directed {film} ## Who produced {film}?|Who wrote {film}?|Who starred in {film}?
When was {film} released?|What year did {film} come out?|release year of {film}|In what year did {film} hit theaters? ## When was {film} filmed?|How long is {film}?|When was the sequel to {film} released?
Who wrote {book}?|Who is the author of {book}?|author of {book}|By whom was {book} written?|Who's {book} by? ## Who published {book}?|Who translated {book}?|When was {book} written?|Who is the narrator of {book}?
Give me a short summary of {book}|Summarize {book} briefly|What is {book} about, in short?|Briefly, what happens in {book}? ## Give me a detailed analysis of {book}|Summarize the first chapter of {book}|List the characters of {book}
How far is {planet} from Earth?|What's the distance between Earth and {planet}?|distance from the Earth to {planet}|How many kilometers away is {planet}? ## How big is {planet} compared with Earth?|How long does it take to get to {planet}?
What is the chemical symbol for {elem}?|chemical symbol of {elem}|What's {elem}'s symbol in the periodic table?|Which letters stand for {elem} in chemistry? ## What is the atomic number of {elem}?|What is the melting point of {elem}?
At what temperature does {elem} melt?|What is the melting point of {elem}?|melting temperature of {elem}|How hot must it be for {elem} to melt? ## At what temperature does {elem} boil?|What is the density of {elem}?
Explain {sci}|What is {sci}?|Can you explain {sci} to me?|How would you explain {sci}?|I'd like to understand {sci}|Tell me what {sci} means|Please describe {sci} ## Explain {sci} to a five-year-old|Who discovered {sci}?|What are the criticisms of {sci}?|Give me an example of {sci}|Why is {sci} important?
Explain {sci} in simple terms|Explain {sci} like I'm five|What's {sci}, in plain words?|Give me an easy explanation of {sci}|Can you break {sci} down simply? ## Explain {sci} in technical detail|Explain {sci} mathematically
Why is {sci} important?|What makes {sci} important?|What's the importance of {sci}?|Why does {sci} matter? ## Why is {sci} controversial?|How does {sci} work?|When was {sci} discovered?
<>What is the difference between {plang1} and {plang2}?|How does {plang1} differ from {plang2}?|{plang1} vs {plang2}: what are the differences?|Compare {plang1} and {plang2} ## Is {plang1} faster than {plang2}?|What do {plang1} and {plang2} have in common?|How do I port code from {plang1} to {plang2}?
<>What is the difference between {sci1} and {sci2}?|How do {sci1} and {sci2} differ?|Compare {sci1} with {sci2}|{sci1} versus {sci2} ## What is the connection between {sci1} and {sci2}?|Which came first, {sci1} or {sci2}?
<>Which is better, {fw1} or {fw2}?|Is {fw1} or {fw2} better?|Should I use {fw1} or {fw2}?|{fw1} vs {fw2}, which one should I pick? ## Which is older, {fw1} or {fw2}?|How do I use {fw1} with {fw2}?
<>How far apart are {city1} and {city2}?|What is the distance between {city1} and {city2}?|distance between {city1} and {city2}|How many kilometers are there between {city1} and {city2}? ## How long is the flight between {city1} and {city2}?|What is the time difference between {city1} and {city2}?
<>What is the time difference between {city1} and {city2}?|How many hours apart are {city1} and {city2}?|time difference {city1} {city2} ## What is the distance between {city1} and {city2}?
<>Are {animal1} and {animal2} related?|Is there a relation between {animal1} and {animal2}?|How are {animal1} and {animal2} related? ## Do {animal1} and {animal2} fight?|Are {animal1} afraid of {animal2}?
<>Can I take {drug1} and {drug2} together?|Is it safe to combine {drug1} with {drug2}?|May {drug1} and {drug2} be taken at the same time? ## Can I take {drug1} instead of {drug2}?|Can I switch from {drug1} to {drug2}?
<>What do {country1} and {country2} have in common?|What are the similarities between {country1} and {country2}?|similarities of {country1} and {country2} ## What are the differences between {country1} and {country2}?
<>What happened in the match between {team1} and {team2}?|How did the game between {team1} and {team2} end?|result of {team1} against {team2}
Flights from {city1} to {city2}|Find me a flight from {city1} to {city2}|I want to fly to {city2} from {city1}|Show flights to {city2} departing from {city1}|I need a plane ticket from {city1} to {city2} ## Trains from {city1} to {city2}|Flights from {city1} to {city2} on Monday|Flights from {city1} to {city2} and back
How long does it take to drive from {city1} to {city2}?|What's the driving time from {city1} to {city2}?|driving time {city1} to {city2}|If I drive from {city1} to {city2}, how long will it take? ## How long does the train take from {city1} to {city2}?|How much does it cost to drive from {city1} to {city2}?
How do I get from {city1} to {city2} by train?|What's the train route from {city1} to {city2}?|Can I take a train from {city1} to {city2}, and how?|going from {city1} to {city2} by train ## How do I get from {city1} to {city2} by bus?|How do I get from {city1} to {city2} by car?
Translate '{animal}' from {lang1} to {lang2}|How do you translate '{animal}' from {lang1} into {lang2}?|Please translate the {lang1} word '{animal}' to {lang2}|What is the {lang2} translation of the {lang1} word '{animal}'?
Translate this sentence from {lang1} to {lang2}: the shop is closed|Put the {lang1} sentence "the shop is closed" into {lang2}|I need this {lang1} sentence in {lang2}: the shop is closed
Convert {num} {unit1} to {unit2}|How many {unit2} is {num} {unit1}?|What is {num} {unit1} in {unit2}?|{num} {unit1} in {unit2}|change {num} {unit1} into {unit2}
Convert {num} {wunit1} to {wunit2}|How many {wunit2} are {num} {wunit1}?|{num} {wunit1} to {wunit2}|How much is {num} {wunit1} in {wunit2}?
Convert {num} {cur1} to {cur2}|How much is {num} {cur1} in {cur2}?|{num} {cur1} in {cur2}|Change {num} {cur1} into {cur2}|What do I get in {cur2} for {num} {cur1}?
What's the exchange rate from {cur1} to {cur2}?|exchange rate {cur1} to {cur2}|How many {cur2} do I get for one of the {cur1}?
How do I convert {ds1} to {ds2} in {plang}?|Convert {ds1} into {ds2} in {plang}|{plang}: turn {ds1} into {ds2}|What's the way to make {ds2} out of {ds1} in {plang}?|In {plang}, how can I change {ds1} to {ds2}?
How do I migrate from {fw1} to {fw2}?|What are the steps for moving a project from {fw1} to {fw2}?|Migrating from {fw1} to {fw2}|I want to switch to {fw2} from {fw1}, how? ## Should I migrate from {fw1} to {fw2}?
How do I upgrade {soft} from {ver1} to {ver2}?|Upgrading {soft} from {ver1} to {ver2}|Steps to upgrade {soft} {ver1} to {ver2}|What is the procedure to go from {soft} {ver1} to {ver2}? ## How do I downgrade {soft} from {ver1} to {ver2}?
Did {team1} beat {team2} in {year}?|Was {team2} beaten by {team1} in {year}?|In {year}, did {team1} win against {team2}? ## Did {team1} lose to {team2} in {year}?|Did {team1} play {team2} in {year}?
When did {team1} last beat {team2}?|When was the last time {team1} won against {team2}?|When was {team2} last beaten by {team1}? ## When did {team1} first beat {team2}?|When did {team1} last lose to {team2}?
Is {country1} bigger than {country2}?|Is {country2} smaller than {country1}?|Does {country1} have a larger area than {country2}? ## Is {country1} richer than {country2}?|Is {country1} as big as {country2}?
Is {plang1} faster than {plang2}?|Is {plang2} slower than {plang1}?|Does {plang1} run faster than {plang2}? ## Is {plang1} easier than {plang2}?|Is {plang1} slower than {plang2}?
Why is {plang1} more popular than {plang2}?|What makes {plang1} more popular than {plang2}?|Why is {plang2} less popular than {plang1}? ## Why is {plang1} less popular than {plang2}?
Do {animal1} eat {animal2}?|Are {animal2} eaten by {animal1}?|Do {animal1} feed on {animal2}?|Are {animal2} part of the diet of {animal1}? ## Do {animal1} fear {animal2}?
Why do {animal1} chase {animal2}?|What makes {animal1} chase {animal2}?|Why are {animal2} chased by {animal1}?|What's the reason that {animal1} chase {animal2}?
{person1} owes {person2} {num} dollars. How should the payment be recorded?|How do I record that {person1} owes {num} dollars to {person2}?|{person2} is owed {num} dollars by {person1}. How should it be recorded?
{person1} sent {person2} an email about {topic}. Write the reply.|Write the reply to {person1}'s email about {topic} to {person2}|{person2} got an email from {person1} about {topic}. Write an answer.
Write a letter from {person1} to {person2} about {topic}|{person1} wants to write to {person2} about {topic}; draft the letter|Draft a letter about {topic} to {person2} from {person1} ## Write an email from {person1} to {person2} about {topic}
If {person1} is older than {person2}, who was born first?|{person1} is older than {person2}. Which of them was born first?|Who was born first if {person2} is younger than {person1}?
What did {person1} tell {person2}?|What was {person2} told by {person1}?|Tell me what {person1} said to {person2}
Is {drink1} healthier than {drink2}?|Is {drink1} better for your health than {drink2}?|Is {drink2} less healthy than {drink1}? ## Is {drink1} cheaper than {drink2}?
How do I replace {food1} with {food2} in a recipe?|Can I use {food2} instead of {food1}, and how?|substituting {food2} for {food1} in a recipe
How do I copy a file from {app1} to {app2}?|Copying files from {app1} into {app2}|What's the way to copy a file to {app2} from {app1}?
How do I import contacts from {app1} into {app2}?|Import my {app1} contacts to {app2}|How can I get contacts out of {app1} and into {app2}?|moving contacts from {app1} to {app2}
How do I forward messages from {app1} to {app2}?|Forwarding {app1} messages to {app2}|Can messages in {app1} be forwarded to {app2}?
When did {country1} invade {country2}?|In what year was {country2} invaded by {country1}?|year of the invasion of {country2} by {country1}|What was the date of {country1}'s invasion of {country2}? ## Why did {country1} invade {country2}?|When did {country1} recognize {country2}?
What does {country1} export to {country2}?|What are {country1}'s exports to {country2}?|Which goods does {country2} import from {country1}? ## What does {country1} import from {country2}?
Do citizens of {country1} need a visa for {country2}?|Is a visa for {country2} required for {country1} citizens?|Visa requirements for {country2} for people from {country1}|Can someone from {country1} travel to {country2} without a visa?
How do I send money from {country1} to {country2}?|What's the best way of transferring money to {country2} from {country1}?|transfer money from {country1} to {country2}|sending money out of {country1} to {country2}
How long is a flight from {city1} to {city2}?|flight duration {city1} to {city2}|What's the flying time from {city1} to {city2}?|How many hours does it take to fly to {city2} from {city1}?
Should I learn {plang1} before {plang2}?|Is it better to learn {plang1} first and {plang2} later?|Is {plang1} worth learning before {plang2}? ## Should I learn {plang1} or {plang2}?
Should I learn {inst1} before {inst2}?|Is it a good idea to start with {inst1} and then learn {inst2}?|Learn {inst1} first, then {inst2}?
Add {num} to {year}|What is {year} plus {num}?|sum of {num} and {year} ## Subtract {num} from {year}
Divide {num1} by {num2}|What is {num1} divided by {num2}?|Calculate {num1} / {num2} ## Multiply {num1} by {num2}
Subtract {num1} from {num2}|What is {num2} minus {num1}?|Take {num1} away from {num2} ## Add {num1} to {num2}
What is {num1} percent of {num2}?|Calculate {num1}% of {num2}|How much is {num1} % of {num2}? ## What percent of {num2} is {num1}?
How do I enable {feature} in {app}?|How can I turn on {feature} in {app}?|Steps to enable {feature} on {app}|Turn on {feature} in {app}|Where do I switch {feature} on in {app}?|enabling {feature} in {app} ## How do I disable {feature} in {app}?|How can I turn off {feature} in {app}?|Why can't I enable {feature} in {app}?|Where do I switch {feature} off in {app}?
How do I disable {feature} in {app}?|How can I turn off {feature} in {app}?|Steps to disable {feature} on {app}|Turn off {feature} in {app}|I want to deactivate {feature} in {app}|Getting rid of {feature} in {app} ## How do I enable {feature} in {app}?|What happens when I disable {feature} in {app}?|Is it safe to disable {feature} in {app}?
Is it safe to disable {feature} in {app}?|Can I safely turn off {feature} in {app}?|Is turning off {feature} in {app} safe? ## Is it safe to enable {feature} in {app}?|How do I disable {feature} in {app}?
How do I install {soft} on {os}?|Installing {soft} on {os}|How can I get {soft} installed on {os}?|install {soft} {os}|What are the steps to install {soft} on {os}?|I need to set up {soft} on {os} ## How do I uninstall {soft} on {os}?|How do I update {soft} on {os}?|How do I configure {soft} on {os}?
How do I uninstall {soft} from {os}?|Remove {soft} from {os}|How can I completely remove {soft} on {os}?|uninstalling {soft} on {os} ## How do I install {soft} on {os}?|How do I reinstall {soft} on {os}?
How do I start {soft} as a service on {os}?|Run {soft} as a service on {os}|Starting the {soft} service on {os} ## How do I stop the {soft} service on {os}?|How do I restart {soft} on {os}?
How do I install {soft} {ver}?|Installing {soft} {ver}|install {soft} version {ver}|What's the way to install version {ver} of {soft}?
What's new in {soft} {ver}?|What are the new features of {soft} {ver}?|new features in {soft} {ver}|What changed in {soft} {ver}? ## What was removed in {soft} {ver}?|What are the bugs in {soft} {ver}?
Does {soft} {ver} support {os}?|Is {os} supported by {soft} {ver}?|Can I run {soft} {ver} on {os}?
How do I sort {ds} in {plang}?|Sorting {ds} in {plang}|{plang} sort {ds}|What's the best way to sort {ds} in {plang}?|How can I put {ds} in order with {plang}? ## How do I reverse {ds} in {plang}?|How do I shuffle {ds} in {plang}?|How do I sort {ds} in descending order in {plang}?
Write a {plang} function that reverses {ds}|Write code in {plang} to reverse {ds}|Give me a {plang} function for reversing {ds}|I need a function in {plang} that reverses {ds} ## Write a {plang} function that sorts {ds}|Write a test for a {plang} function that reverses {ds}
How do I read {ds} in {plang}?|Reading {ds} with {plang}|What's the way to read {ds} using {plang}?|In {plang}, how can I load {ds}? ## How do I write {ds} in {plang}?|How do I delete {ds} in {plang}?
How do I remove duplicates from {ds} in {plang}?|{plang}: remove duplicates from {ds}|Drop duplicate entries of {ds} in {plang}|What's an easy way to deduplicate {ds} in {plang}? ## How do I find duplicates in {ds} in {plang}?|How do I count duplicates in {ds} in {plang}?
How do I find the largest value of {ds} in {plang}?|{plang}: get the maximum of {ds}|Getting the biggest element of {ds} in {plang} ## How do I find the smallest value of {ds} in {plang}?|How do I find the average of {ds} in {plang}?
Is {ds} mutable in {plang}?|Can {ds} be changed after creation in {plang}?|In {plang}, is {ds} mutable? ## Is {ds} immutable in {plang}?|How do I make {ds} immutable in {plang}?
How do I undo the last {num} commits in Git?|Git: undo the last {num} commits|What's the command to revert the last {num} commits in Git? ## How do I redo the last {num} commits in Git?|How do I show the last {num} commits in Git?
How many days are left until {month} {num}?|How many days until {month} {num}?|days remaining to {month} {num}
How do I cook {food}?|What is the best way to cook {food}?|How is {food} cooked?|How should {food} be prepared?|recipe for {food}|Give me a recipe for {food} ## How long does {food} keep?|How many calories are in {food}?|How do I freeze {food}?
How do I make {food} for {num} people?|Recipe for {food} that serves {num}|{food} recipe for {num} people|I'm cooking {food} for {num} guests, what's the recipe?
How many calories are in {num} grams of {food}?|Calories in {num} g of {food}|What's the calorie count of {num} grams of {food}? ## How much protein is in {num} grams of {food}?
How long can I keep {food} in the fridge?|How many days does {food} last in the refrigerator?|storage time of {food} in the fridge|For how long does {food} stay good in the fridge? ## How long can I keep {food} in the freezer?|How long should I cook {food}?
Can {animal} eat {food}?|Is {food} safe for {animal}?|Is it OK to give {food} to {animal}?|Are {animal} allowed to have {food}? ## Why can't {animal} eat {food}?|How much {food} can {animal} eat?
What are the symptoms of {disease}?|symptoms of {disease}|How do I know if I have {disease}?|What signs point to {disease}?|What does {disease} feel like? ## What are the causes of {disease}?|How is {disease} treated?|How can {disease} be prevented?
How is {disease} treated?|What's the treatment for {disease}?|treatment of {disease}|What can be done against {disease}?|How do doctors treat {disease}? ## How is {disease} diagnosed?|What are the symptoms of {disease}?|How long does {disease} last?
What causes {disease}?|What are the causes of {disease}?|Why do people get {disease}?|How does one get {disease}? ## What cures {disease}?|What does {disease} cause?
Is {disease} contagious?|Can you catch {disease} from someone?|Can {disease} spread from person to person? ## Is {disease} hereditary?|Is {disease} dangerous?
What is the maximum daily dose of {drug}?|How much {drug} can I take in a day at most?|max dose of {drug} per day|What's the highest amount of {drug} allowed per day? ## What is the minimum effective dose of {drug}?|How often can I take {drug}?
Can I take {drug} on an empty stomach?|Is it OK to take {drug} without food?|Does {drug} have to be taken with food? ## Can I take {drug} with alcohol?|Can I take {drug} while pregnant?
How do I write a cover letter for {job}?|Write a cover letter for a position as {job}|Draft me a cover letter for a job as {job}|I'm applying as {job}, help me with a cover letter ## Write a resignation letter for {job}|Write a job description for {job}
How much does {job} earn?|What's the salary of {job}?|average pay of {job}|What do you make as {job}? ## How do I become {job}?|How many hours does {job} work?
How do I become {job}?|What does it take to become {job}?|Steps to becoming {job}|I want to work as {job}, how do I get there? ## What does {job} do?|Why did you become {job}?
Write a poem about {topic}|Compose a poem on {topic}|I'd like a poem about {topic}|Give me a poem dealing with {topic} ## Write an essay about {topic}|Write a haiku about {topic}|Write a funny poem about {topic}
Write an essay on the advantages of {topic}|Write an essay about the benefits of {topic}|Essay: the upsides of {topic}|Compose an essay on why {topic} is good ## Write an essay on the disadvantages of {topic}|Write an essay on the drawbacks of {topic}|Write an essay on the history of {topic}
What are the disadvantages of {topic}?|What are the drawbacks of {topic}?|cons of {topic}|What's bad about {topic}?|downsides of {topic} ## What are the advantages of {topic}?|pros of {topic}|What's good about {topic}?
Give me {num} ideas for a talk about {topic}|I need {num} ideas for a presentation on {topic}|List {num} ideas for a talk on {topic}|Suggest {num} ways to speak about {topic} in a talk
Write a {num} word article about {topic}|Write an article on {topic} in {num} words|I need an article of {num} words about {topic}|Please produce an article on {topic}, {num} words long
Summarize the text in {num} sentences|Give a {num} sentence summary of the text|Sum up the text in {num} sentences|Can you shorten the text to {num} sentences?
Rewrite this paragraph in a formal tone|Make this paragraph more formal|Please rephrase this paragraph formally|Turn this paragraph into formal language ## Rewrite this paragraph in an informal tone|Make this paragraph shorter|Make this paragraph less formal|Check this paragraph for errors
How do I cancel my {plan} plan?|Cancel the {plan} subscription|I want to end my {plan} plan|How can I stop paying for the {plan} plan?|I don't want the {plan} plan any more ## How do I change my {plan} plan?|How do I renew my {plan} plan?|How do I sign up for the {plan} plan?|What happens if I cancel my {plan} plan?
How much does the {plan} plan cost?|What's the price of the {plan} plan?|{plan} plan pricing|What do you charge for {plan}?|How expensive is the {plan} plan? ## What's included in the {plan} plan?|Is there a discount on the {plan} plan?
What's included in the {plan} plan?|What do I get with the {plan} plan?|features of the {plan} plan|Which features does {plan} come with? ## What isn't included in the {plan} plan?|How much does the {plan} plan cost?
How do I upgrade from {plan1} to {plan2}?|I'd like to move from the {plan1} plan to {plan2}|Switch me from {plan1} to {plan2}|changing my plan from {plan1} to {plan2} ## What's the difference between {plan1} and {plan2}?
Can I return {item}?|Is it possible to return {item}?|Am I able to send {item} back?|Do you take {item} back? ## Can I exchange {item}?|How do I return {item}?|Can I return {item} without a receipt?
How do I return {item}?|What's the process for returning {item}?|I want to send {item} back, how?|returning {item} ## How do I exchange {item}?|Why can't I return {item}?|Who pays for returning {item}?
Where is order {order}?|What's the status of order {order}?|Track order {order}|I'd like to know where my order {order} is|status of {order} ## Cancel order {order}|Change the address of order {order}|Return order {order}
Cancel order {order}|I want to cancel order {order}|Please cancel my order {order}|How can order {order} be cancelled? ## Don't cancel order {order}|Change order {order}|Track order {order}
When will order {order} arrive?|What is the delivery date of order {order}?|How long until order {order} gets here? ## When was order {order} shipped?|Can order {order} arrive earlier?
How do I reset my password?|I forgot my password|What do I do to reset my password?|password reset|I can't remember my password, how do I get a new one? ## How do I change my username?|How do I reset my phone?|How do I change my password without logging out?|Why was my password reset?
How do I delete my account?|I want to close my account|Delete my account|How can I remove my account permanently?|account deletion ## How do I create an account?|How do I recover my deleted account?|What happens to my data when I delete my account?
How do I create an account?|I want to sign up|Where can I register?|How can I open an account?|create a new account ## How do I delete my account?|I can't sign in to my account|How do I close my account?
Do you ship to {country}?|Can you deliver to {country}?|Is delivery to {country} possible?|Do you send parcels to {country}? ## How much is shipping to {country}?|Do you ship from {country}?|How long does shipping to {country} take?
How much is shipping to {country}?|What does delivery to {country} cost?|shipping costs to {country}|What do you charge for sending a parcel to {country}? ## How long does shipping to {country} take?|Do you ship to {country}?
Are you open on {day}?|Do you open on {day}s?|Is the shop open {day}?|Can I come by on {day}? ## Are you closed on {day}?|When do you open on {day}?|When do you close on {day}?
When do you open on {day}?|What time do you open on {day}?|{day} opening time|From what hour are you open on {day}? ## When do you close on {day}?|Are you open on {day}?
What's the weather like in {city} in {month}?|How is the weather in {city} in {month}?|{city} weather in {month}|What weather can I expect in {city} during {month}? ## How much does it rain in {city} in {month}?|What events are there in {city} in {month}?
What should I see in {city}?|Best things to see in {city}|top sights of {city}|Which attractions in {city} are worth a visit?|What are the must-see places in {city}? ## What should I eat in {city}?|Where should I stay in {city}?|What should I avoid in {city}?
What is the cheapest way to get around {city}?|Cheapest transport in {city}|How do I travel in {city} most cheaply?|What's the least expensive way of moving around {city}? ## What is the fastest way to get around {city}?|What is the most expensive way to get around {city}?
Find a cheap hotel in {city}|I'm looking for an inexpensive hotel in {city}|budget hotels in {city}|Show me affordable hotels in {city} ## Find a luxury hotel in {city}|Find a cheap restaurant in {city}
Is it safe to drink tap water in {city}?|Can I drink the tap water in {city}?|Is {city}'s tap water drinkable? ## Why is the tap water in {city} bad?|Is it safe to walk at night in {city}?
Who won the {sport} championship in {year}?|winner of the {year} {sport} championship|Which side took the {sport} championship in {year}?|{year} {sport} championship winner ## Who lost the {sport} championship final in {year}?|Who hosted the {sport} championship in {year}?
How many players are on a {sport} team?|What is the number of players in a {sport} team?|{sport} team size|How many people make up a {sport} team? ## How long is a {sport} match?|How many {sport} teams are there?
What are the rules of {sport}?|Explain the rules of {sport}|How do you play {sport}?|{sport} rules ## Who invented {sport}?|What equipment do I need for {sport}?
How do I learn {inst}?|What's the best way to learn {inst}?|How can I teach myself {inst}?|tips for learning {inst} ## How do I teach {inst}?|How do I tune a {inst}?
How do I take a screenshot on the {phone}?|Taking a screenshot with the {phone}|{phone} screenshot|What's the way to capture the screen on {phone}? ## How do I record the screen on the {phone}?|How do I delete a screenshot on the {phone}?
How long does the battery of the {phone} last?|What is the battery life of the {phone}?|{phone} battery life|How many hours does the {phone} run on a charge? ## How long does the {phone} take to charge?|How do I replace the battery of the {phone}?
<>Which has the better camera, the {phone1} or the {phone2}?|Is the camera of the {phone1} or of the {phone2} better?|camera comparison of {phone1} and {phone2} ## Which has the longer battery life, the {phone1} or the {phone2}?
<>Which is more reliable, {car1} or {car2}?|Who makes the more reliable cars, {car1} or {car2}?|reliability: {car1} vs {car2} ## Which is more expensive, {car1} or {car2}?
Why is my {car} making a noise?|My {car} makes a strange noise, why?|What's the reason for the noise of my {car}? ## Why is my {car} not starting?|Why is my {car} leaking oil?
How often should I change the oil of a {car}?|Oil change interval for a {car}|When does a {car} need new oil?|How many months between oil changes for a {car}? ## How do I change the oil of a {car}?|How much oil does a {car} need?
What happened in {year} in {country}?|What important events took place in {country} in {year}?|{country} in {year}: main events|Tell me about the events of {year} in {country}
How much did {country} spend on defense in {year}?|{country}'s defense spending in {year}|What was the military budget of {country} in {year}? ## How much did {country} spend on education in {year}?
What was the inflation rate in {country} in {year}?|{year} inflation in {country}|How high was {country}'s inflation in {year}? ## What was the unemployment rate in {country} in {year}?
Why did {person1} leave before {person2}?|What made {person1} leave before {person2} did?|Why was {person1} gone before {person2}? ## Why did {person1} leave after {person2}?
Who arrived first if {person1} came after {person2}?|{person1} came after {person2}. Who arrived first?
Is it better to invest in stocks or in bonds?|Should I put my money in bonds or stocks?|Stocks or bonds: what's the better investment?|Which is the better investment, bonds or stocks? ## Is it riskier to invest in stocks or in bonds?|How do I invest in bonds?
How do I save money?|What are good ways to save money?|tips for saving money|How can I spend less?|Help me save money ## How do I make money?|How do I borrow money?|How do I save money for a house?
How can I fall asleep faster?|What helps to fall asleep quickly?|tips for falling asleep faster|I can't fall asleep, what can I do?|Ways to get to sleep quicker ## How can I wake up faster?|How can I stay awake longer?|How much sleep do I need?
How do I stop procrastinating?|What can I do against procrastination?|How can I beat procrastination?|Help me to stop putting things off ## Why do I procrastinate?|Is procrastination bad?
How do I lose weight?|What's the best way to lose weight?|How can I get slimmer?|tips for losing weight|I want to lose weight, what should I do? ## How do I gain weight?|How do I lose weight without exercise?|How long does it take to lose weight?
Why is the sky blue?|What makes the sky blue?|What causes the blue color of the sky?|How come the sky is blue? ## Why is the sky red at sunset?|Why is the sea blue?
How does a {soft} cluster handle failover?|What does {soft} do when a node fails?|Explain failover in a {soft} cluster ## How do I set up a {soft} cluster?|How does a {soft} cluster handle backups?
How do I increase the memory limit of {soft}?|Raise {soft}'s memory limit|How can I give {soft} more memory?|allow {soft} to use more memory ## How do I decrease the memory limit of {soft}?|How do I see the memory limit of {soft}?
Set the timeout of {soft} to {num} seconds|How do I set a {num} second timeout in {soft}?|Change {soft}'s timeout to {num} s|make {soft} time out after {num} seconds ## Set the timeout of {soft} to {num} minutes|Set the retry limit of {soft} to {num}
Give me a list of {num} {animal} facts|Tell me {num} facts about {animal}|{num} interesting facts about {animal}|List {num} things to know about {animal}
Remind me on {day} to call {person}|Set a reminder to call {person} on {day}|Don't let me forget to call {person} on {day} ## Remind me on {day} to email {person}|Cancel the reminder to call {person} on {day}
Schedule a meeting with {person} on {day} at {num}|Set up a meeting at {num} on {day} with {person}|Book time with {person} for {day} at {num} ## Cancel the meeting with {person} on {day} at {num}|Schedule a call with everyone but {person} on {day} at {num}
Play some {inst} music|I want to listen to {inst} music|Put on {inst} music|Play music with {inst} ## Stop the {inst} music|Find sheet music for {inst}
Who is allowed to approve expenses over {num} dollars?|Who can approve an expense of more than {num} dollars?|Approval of expenses above {num} dollars: by whom? ## Who is allowed to approve expenses under {num} dollars?|Who is allowed to submit expenses over {num} dollars?
Which employees joined after {year}?|List employees who joined after {year}|Show everyone hired after {year} ## Which employees joined before {year}?|Which employees left after {year}?|Which employees joined in {year}?
Show all orders with a total above {num}|List the orders whose total is greater than {num}|Which orders are over {num} in total? ## Show all orders with a total below {num}|Count the orders with a total above {num}|Show all orders with a total of exactly {num}
List all customers who have bought something|Show the customers with at least one purchase|Which customers have made a purchase? ## List all customers who have never bought anything|List all customers who have not bought something|Show the customers with no purchases
Which {animal} are dangerous to humans?|What kinds of {animal} are dangerous for people?|dangerous {animal} ## Which {animal} are harmless to humans?|Which humans are dangerous to {animal}?
What foods should I eat with {disease}?|What is good to eat when you have {disease}?|diet for {disease}|Which foods help with {disease}? ## What foods should I avoid with {disease}?|Which foods cause {disease}?
Is {drug} safe during pregnancy?|Can pregnant women take {drug}?|May I use {drug} while pregnant? ## Is {drug} safe for children?|Is {drug} safe while breastfeeding?|Is {drug} unsafe with alcohol?
""".strip().splitlines()
